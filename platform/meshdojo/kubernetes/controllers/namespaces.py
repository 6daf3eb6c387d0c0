"""Namespaces: when one is deleted, everything in it is deleted first.

Source: ``k8s.io/kubernetes/pkg/controller/namespace/deletion``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Change, Key
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.controllers.everything import Everything
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.timestamps import now

FINALIZER = "kubernetes"
Remaining = Mapping[str, list[Object]]  # "plural.group" -> what is left of it


class NamespaceController(Controller):
    """Empties namespaces that are being deleted, then lets them go."""

    name: ClassVar[str] = "namespace-controller"

    def __init__(self, cluster: Cluster, everything: Everything) -> None:
        super().__init__(cluster)
        self.namespaces = self.follow("namespaces", itself)
        self._everything = everything
        everything.subscribe(self._content_changed)

    async def reconcile(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None or not _is_held(namespace):
            return
        remaining = await self._empty(namespace["metadata"]["name"])
        if remaining:
            status = {**(namespace.get("status") or {}), "conditions": _conditions(namespace, remaining)}
            await self.write_status(self.namespaces, namespace, status)
            return  # the next thing that goes wakes us
        finalizers = [one for one in namespace["spec"]["finalizers"] if one != FINALIZER]
        released = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        try:
            await self.client.update("namespaces", released, subresource="finalize")
        except StatusError as error:
            if error.code != 404:
                raise

    def _content_changed(self, resource: Resource, change: Change, old: Object | None, new: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        namespace = self.namespaces.get(None, metadata.get("namespace", ""))
        if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
            self.queue.add(("", namespace["metadata"]["name"]))

    async def _empty(self, namespace: str) -> Remaining:
        """Delete all content; what is still there afterwards (pods that stop, objects with finalizers)."""
        names = [resource.name for resource in self._everything.resources if resource.namespaced]
        remaining: dict[str, list[Object]] = {}
        for name in [*names, "events"]:
            for obj in await self._objects(name, namespace):
                await self._delete(name, obj)
            if left := await self._objects(name, namespace):
                remaining[name] = left
        return remaining

    async def _objects(self, resource: str, namespace: str) -> list[Object]:
        try:
            return (await self.client.list(resource, namespace)).items
        except StatusError as error:
            if error.code == 404:  # its CRD has just gone
                return []
            raise

    async def _delete(self, resource: str, obj: Object) -> None:
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        try:
            await self.client.delete(
                resource, metadata["name"], metadata["namespace"], propagation="Background", uid=metadata["uid"]
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _is_held(namespace: Object) -> bool:
    deleting = namespace["metadata"].get("deletionTimestamp")
    return bool(deleting) and FINALIZER in (namespace["spec"].get("finalizers") or ())


def _conditions(namespace: Object, remaining: Remaining) -> list[Object]:
    before = {one["type"]: one for one in (namespace.get("status") or {}).get("conditions") or ()}
    return [_condition(before.get(type), type, *words) for type, *words in _words(remaining)]


def _words(remaining: Remaining) -> list[tuple[str, str, str, str]]:
    return [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", *_content_words(remaining)),
        ("NamespaceFinalizersRemaining", *_finalizer_words(remaining)),
    ]


def _content_words(remaining: Remaining) -> tuple[str, str, str]:
    counts = [
        f"{name if '.' in name else f'{name}.'} has {len(objects)} resource instances"
        for name, objects in sorted(remaining.items())
    ]
    return "True", "SomeResourcesRemain", f"Some resources are remaining: {', '.join(counts)}"


def _finalizer_words(remaining: Remaining) -> tuple[str, str, str]:
    counts = Counter(
        finalizer
        for objects in remaining.values()
        for obj in objects
        for finalizer in obj["metadata"].get("finalizers") or ()
    )
    if not counts:
        return "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    listed = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(counts.items()))
    words = f"Some content in the namespace has finalizers remaining: {listed}"
    return "True", "SomeFinalizersRemain", words


def _condition(before: Object | None, type: str, status: str, reason: str, message: str) -> Object:
    since = before["lastTransitionTime"] if before and before["status"] == status else now()
    return {"type": type, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
