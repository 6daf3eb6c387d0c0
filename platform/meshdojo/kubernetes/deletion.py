"""Deleting: preconditions, grace, finalizers, and the marks that tell the garbage collector what to do with dependents.

Source: k8s.io/apiserver/pkg/registry/rest/delete.go and registry/generic/registry/store.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.cluster.client import Object, Propagation
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.conversion import to_version
from meshdojo.kubernetes.registry import Registry, ready_to_go
from meshdojo.kubernetes.requests import DeleteOptions, Options
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.store import Stale
from meshdojo.kubernetes.strategies.strategy import with_field
from meshdojo.kubernetes.timestamps import now

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class Deleter:
    """Deletes the objects of a registry."""

    registry: Registry

    async def delete(
        self, resource: Resource, name: str, namespace: str, how: DeleteOptions, options: Options
    ) -> Object:
        """Delete or mark for deletion.

        Returns the object while it still exists (and for pods always), else a Status with its uid. Raises
        StatusError 403, 404, 409 (precondition).
        """
        while True:
            try:
                return await self._delete_once(resource, name, namespace, how, options)
            except Stale:
                continue

    async def _delete_once(
        self, resource: Resource, name: str, namespace: str, how: DeleteOptions, options: Options
    ) -> Object:
        current = self.registry.stored(resource, name, namespace)
        _check_preconditions(resource, current, how)
        shown = to_version(current, resource)
        attributes = Attributes("DELETE", resource, namespace, name, None, shown, options)
        await self.registry.admission.mutate(attributes)
        await self.registry.admission.validate(attributes)
        marked = self._marked(resource, current, how, options)
        if ready_to_go(marked):
            return self._remove(resource, current, marked, options)
        if not options.dry_run:
            marked = self.registry.store.put(resource.storage, marked, current)
        return to_version(marked, resource)

    def _remove(self, resource: Resource, current: Object, marked: Object, options: Options) -> Object:
        if not options.dry_run:
            self.registry.store.remove(resource.storage, current)
        strategy = self.registry.strategies.of(resource)
        return to_version(marked, resource) if strategy.returns_deleted else deleted_status(resource, current)

    def _marked(self, resource: Resource, current: Object, how: DeleteOptions, options: Options) -> Object:
        """The object as being deleted: deletionTimestamp, the grace left, the finalizers that propagation asks for."""
        strategy = self.registry.strategies.of(resource)
        metadata = current["metadata"]
        finalizers = _finalizers(metadata, how.propagation or self._propagation(metadata, resource, options))
        finalizers += [one for one in strategy.deletion_finalizers if one not in finalizers]
        grace = strategy.grace_seconds(current, how.grace_seconds)
        if "deletionTimestamp" not in metadata:
            metadata = {**metadata, "deletionTimestamp": now(grace or 0), "deletionGracePeriodSeconds": grace or 0}
            if metadata.get("generation"):
                metadata["generation"] += 1
        elif grace is not None and (how.grace_seconds is not None or grace == 0):
            metadata = _hastened(metadata, grace)
        marked = {**current, "metadata": with_field(metadata, "finalizers", finalizers or None)}
        if resource.storage == "namespaces":
            marked["status"] = {**(current.get("status") or {}), "phase": "Terminating"}
        return marked

    def _propagation(self, metadata: Object, resource: Resource, options: Options) -> Propagation | None:
        """Without a word in the request a finalizer that is there already decides, then the kind."""
        if {FOREGROUND, ORPHAN} & set(metadata.get("finalizers") or []):
            return None
        return self.registry.strategies.of(resource).default_propagation(options)


def deleted_status(resource: Resource, obj: Object) -> Object:
    """What a DELETE that removed the object answers."""
    details = {"name": obj["metadata"]["name"], "kind": resource.plural, "uid": obj["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_preconditions(resource: Resource, obj: Object, how: DeleteOptions) -> None:
    metadata = obj["metadata"]
    if how.uid is not None and how.uid != metadata["uid"]:
        words = f"the UID in the precondition ({how.uid}) does not match the UID in record ({metadata['uid']})"
        words += ". The object might have been deleted and then recreated"
        raise errors.deletion_precondition(resource, metadata["name"], words)
    if how.resource_version is not None and how.resource_version != metadata["resourceVersion"]:
        words = f"the ResourceVersion in the precondition ({how.resource_version}) does not match"
        words += f" the ResourceVersion in record ({metadata['resourceVersion']}). The object might have been modified"
        raise errors.deletion_precondition(resource, metadata["name"], words)


def _finalizers(metadata: Object, propagation: Propagation | None) -> list[str]:
    finalizers = list(metadata.get("finalizers") or [])
    if propagation is None:
        return finalizers
    kept = [finalizer for finalizer in finalizers if finalizer not in (FOREGROUND, ORPHAN)]
    added = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN], "Background": []}[propagation]
    return kept + added


def _hastened(metadata: Object, grace: int) -> Object:
    """A later request may shorten the grace, never prolong it."""
    if grace >= int(metadata.get("deletionGracePeriodSeconds") or 0):
        return metadata
    return {**metadata, "deletionTimestamp": now(grace), "deletionGracePeriodSeconds": grace}
