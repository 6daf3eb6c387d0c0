"""Creating, changing and reading the objects of any resource: the pipeline that every write goes through.

    decode -> defaults -> mutating admission -> strategy (what the client may not set) -> validation
           -> validating admission -> store

Source of the order: k8s.io/apiserver/pkg/registry/generic/registry and endpoints/handlers.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import replace

from meshdojo.cluster.client import Object, ObjectList
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes, Chain, Operation
from meshdojo.kubernetes.allocator import Exhausted
from meshdojo.kubernetes.conversion import has_other_shape, to_storage, to_version
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.managedfields import track_update
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.resources import Catalogue, Resource
from meshdojo.kubernetes.schema import apply_defaults, decode, validate
from meshdojo.kubernetes.schema.validation.containers import check_ephemeral_containers
from meshdojo.kubernetes.selectors import predicate
from meshdojo.kubernetes.store import Stale, Store
from meshdojo.kubernetes.strategies.registry import Strategies
from meshdojo.kubernetes.strategies.strategy import Strategy, with_field
from meshdojo.kubernetes.timestamps import now

# No vowels, no easily confused digits. Source: k8s.io/apimachinery/pkg/util/rand.
_ALPHANUMS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAX_GENERATED_BASE = 58
_ATTEMPTS = 8

Modifier = Callable[[Object], Object]
"""What an update does: the current object in, the wanted object (not yet decoded) out."""

_KEPT_METADATA = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


class Registry:
    """The objects of every resource."""

    def __init__(self, store: Store, catalogue: Catalogue, strategies: Strategies, admission: Chain) -> None:
        self.store = store
        self.catalogue = catalogue
        self.strategies = strategies
        self.admission = admission

    def get(self, resource: Resource, name: str, namespace: str) -> Object:
        """Raises StatusError 404."""
        return to_version(self.stored(resource, name, namespace), resource)

    def stored(self, resource: Resource, name: str, namespace: str) -> Object:
        """The object as it is stored. Raises StatusError 404."""
        obj = self.store.get(resource.storage, namespace, name)
        if obj is None:
            raise errors.not_found(resource, name)
        return obj

    def list(self, resource: Resource, namespace: str | None, labels: str, fields: str) -> ObjectList:
        """The objects that the selectors match, in order of namespace and name. Raises StatusError 400."""
        wanted = predicate(resource, labels, fields)
        objects = (to_version(obj, resource) for obj in self.store.list(resource.storage, namespace))
        return ObjectList([obj for obj in objects if wanted(obj)], str(self.store.revision))

    # --- create -----------------------------------------------------------------------------------------------

    async def create(self, resource: Resource, obj: Object, namespace: str, options: Options) -> Object:
        """Create an object; returns it as stored. Raises StatusError 400, 403, 404, 409, 422, 500, 507."""
        shown = resource
        resource, obj = self._decoded_as_stored(shown, obj, options)
        obj = _in_namespace(resource, obj, namespace)
        if obj["metadata"].get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        self._check_serving(resource)
        obj = await self._mutated("CREATE", resource, obj, None, options)
        for attempt in range(_ATTEMPTS):
            named = _named(obj)
            try:
                return to_version(await self._create_named(resource, named, options), shown)
            except errors.StatusError as error:
                if error.reason != "AlreadyExists" or named is obj or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _check_serving(self, resource: Resource) -> None:
        crd = resource.crd and self.store.get(_CRDS, "", resource.name)
        if crd and "deletionTimestamp" in crd["metadata"]:
            words = "create not allowed while custom resource definition is terminating"
            raise errors.StatusError(405, "MethodNotAllowed", words)

    async def _create_named(self, resource: Resource, obj: Object, options: Options) -> Object:
        strategy = self.strategies.of(resource)
        created = self._prepared(resource, strategy, obj)
        if options.field_manager:
            created = track_update(resource, created, None, options.field_manager, "")
        validate(resource, created, None)
        await self.admission.validate(_attributes("CREATE", resource, created, None, options))
        if self.store.get(resource.storage, created["metadata"].get("namespace", ""), created["metadata"]["name"]):
            raise errors.already_exists(resource, created["metadata"]["name"])
        if options.dry_run:
            return created
        stored = self.store.put(resource.storage, to_storage(created, resource), None)
        return to_version(stored, resource)

    def _prepared(self, resource: Resource, strategy: Strategy, obj: Object) -> Object:
        metadata = {k: v for k, v in obj["metadata"].items() if k not in ("selfLink", "deletionTimestamp")}
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        metadata.pop("deletionGracePeriodSeconds", None)
        metadata.pop("generation", None)
        if strategy.counts_generations:
            metadata["generation"] = 1
        problems = strategy.validate_create(obj)
        if problems:
            raise errors.invalid_object(resource, metadata.get("name", ""), problems)
        try:
            return strategy.prepare_create({**obj, "metadata": metadata})
        except Exhausted as error:
            raise errors.internal("failed to allocate a serviceIP: range is full") from error

    # --- update -----------------------------------------------------------------------------------------------

    async def update(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        modify: Modifier,
        options: Options,
        *,
        subresource: str = "",
    ) -> Object:
        """Change an object; returns it as stored. Tried again when another write came in between.

        Raises StatusError 400, 403, 404, 409, 422, 500, 507.
        """
        while True:
            current = self.stored(resource, name, namespace)
            try:
                return await self._update_once(resource, current, modify, options, subresource)
            except Stale:
                continue

    async def _update_once(
        self, resource: Resource, current: Object, modify: Modifier, options: Options, subresource: str
    ) -> Object:
        shown = resource
        resource, wanted = self._decoded_as_stored(shown, modify(to_version(current, shown)), options)
        old = to_version(current, resource)
        wanted = _in_namespace(resource, wanted, old["metadata"].get("namespace", ""))
        strategy = self.strategies.of(resource)
        _check_preconditions(resource, strategy, wanted, old)
        wanted = await self._mutated("UPDATE", resource, wanted, old, options, subresource)
        new = self._prepared_update(resource, strategy, wanted, old, subresource)
        if options.field_manager:
            new = track_update(resource, new, old, options.field_manager, subresource)
        if subresource == "ephemeralcontainers":
            _require_fit(resource, new, old)
        elif subresource not in _INTERNAL:
            validate(resource, new, old)
        await self.admission.validate(_attributes("UPDATE", resource, new, old, options, subresource))
        if options.dry_run:
            return to_version(new, shown)
        return to_version(self._put_or_remove(resource, new, current), shown)

    def _prepared_update(
        self, resource: Resource, strategy: Strategy, wanted: Object, old: Object, subresource: str
    ) -> Object:
        wanted = {**wanted, "metadata": _kept_metadata(wanted["metadata"], old["metadata"])}
        if subresource == "status":
            new = strategy.prepare_status(wanted, old)
        elif subresource in _INTERNAL:
            new = {**old, **{field: wanted[field] for field in ("spec", "status") if field in wanted}}
        else:
            problems = _finalizer_problems(wanted, old) + strategy.validate_update(wanted, old)
            if problems:
                raise errors.invalid_object(resource, old["metadata"]["name"], problems)
            new = strategy.prepare_update(wanted, old)
        if subresource not in ("status", "binding") and strategy.changes_generation(new, old):
            generation = old["metadata"].get("generation", 0) + 1
            new = {**new, "metadata": {**new["metadata"], "generation": generation}}
        return new

    def _put_or_remove(self, resource: Resource, new: Object, current: Object) -> Object:
        """Store the change; the one that takes the last finalizer of a deleted object away removes it."""
        new = to_storage(new, resource)
        if not ready_to_go(new):
            return self.store.put(resource.storage, new, current)
        self.store.remove(resource.storage, current)
        return new

    # --- shared -----------------------------------------------------------------------------------------------

    def _decoded(self, resource: Resource, obj: Object, options: Options) -> Object:
        obj = _typed(resource, obj)
        decoded, warnings = decode(resource, obj, field_validation=options.field_validation)
        options.warnings.extend(warnings)
        return apply_defaults(resource, decoded)

    def _decoded_as_stored(self, resource: Resource, obj: Object, options: Options) -> tuple[Resource, Object]:
        """(the version whose rules and defaults apply, what the client sent in that version)."""
        decoded = self._decoded(resource, obj, options)
        if not has_other_shape(resource):
            return resource, decoded
        stored = replace(resource, version=resource.storage_version)
        return stored, self._decoded(stored, to_storage(decoded, resource), options)

    async def _mutated(
        self,
        operation: Operation,
        resource: Resource,
        obj: Object,
        old: Object | None,
        options: Options,
        subresource: str = "",
    ) -> Object:
        changed = await self.admission.mutate(_attributes(operation, resource, obj, old, options, subresource))
        assert changed is not None
        if changed is obj:
            return obj
        # Plugins write what they know; it is understood and completed as if the client had sent it.
        return self._decoded(resource, changed, replace(options, field_validation="Ignore", warnings=[]))


# Subresources through which the cluster itself changes what is otherwise fixed.
_INTERNAL = ("binding", "finalize", "ephemeralcontainers")
_CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def _require_fit(resource: Resource, new: Object, old: Object) -> None:
    """Raises StatusError 422 for ephemeral containers that cannot be added, or that are missing."""
    problems = list(check_ephemeral_containers(new["spec"], old["spec"]))
    if problems:
        raise errors.invalid_object(resource, old["metadata"]["name"], problems)


def _attributes(
    operation: Operation,
    resource: Resource,
    obj: Object,
    old: Object | None,
    options: Options,
    subresource: str = "",
) -> Attributes:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    return Attributes(operation, resource, namespace, metadata.get("name", ""), obj, old, options, subresource)


def _typed(resource: Resource, obj: Object) -> Object:
    """In-process callers may leave apiVersion and kind out."""
    if not isinstance(obj, dict):
        raise errors.bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    typed = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    metadata = typed.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return typed
    return {**typed, "metadata": {**(metadata or {})}}


def _in_namespace(resource: Resource, obj: Object, namespace: str) -> Object:
    """Source: rest.EnsureObjectNamespaceMatchesRequestNamespace."""
    metadata = obj["metadata"]
    stated = metadata.get("namespace") or ""
    if not resource.namespaced:
        return {**obj, "metadata": with_field(metadata, "namespace", None)}
    namespace = namespace or stated
    if not namespace:
        raise errors.bad_request("an empty namespace may not be set during creation")
    if stated not in ("", namespace):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return {**obj, "metadata": {**metadata, "namespace": namespace}}


def _named(obj: Object) -> Object:
    metadata = obj["metadata"]
    base = metadata.get("generateName")
    if metadata.get("name") or not base:
        return obj
    return {**obj, "metadata": {**metadata, "name": base[:_MAX_GENERATED_BASE] + random_suffix()}}


def random_suffix() -> str:
    """Five characters, as generated names end in."""
    return "".join(random.choices(_ALPHANUMS, k=_SUFFIX_LENGTH))


def _check_preconditions(resource: Resource, strategy: Strategy, wanted: Object, old: Object) -> None:
    name = old["metadata"]["name"]
    metadata = wanted["metadata"]
    if not metadata.get("name"):
        words = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        raise errors.bad_request(words)
    if metadata["name"] != name:
        raise errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    uid = metadata.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        key = "/".join(part for part in (resource.plural, old["metadata"].get("namespace"), name) if part)
        words = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        )
        raise errors.conflict(resource, name, words)
    revision = metadata.get("resourceVersion")
    if not revision and not strategy.unconditional_update:
        problem = FieldError.invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise errors.invalid_object(resource, name, [problem])
    if revision and revision != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource, name)


def _kept_metadata(wanted: Object, old: Object) -> Object:
    kept = {field: old[field] for field in _KEPT_METADATA if field in old}
    asked = {k: v for k, v in wanted.items() if k not in _KEPT_METADATA and k != "selfLink"}
    return {**asked, **kept, "resourceVersion": old["resourceVersion"]}


def _finalizer_problems(new: Object, old: Object) -> list[FieldError]:
    if "deletionTimestamp" not in old["metadata"]:
        return []
    before = old["metadata"].get("finalizers") or []
    added = [finalizer for finalizer in new["metadata"].get("finalizers") or [] if finalizer not in before]
    if not added:
        return []
    listed = ", ".join(f'"{finalizer}"' for finalizer in added)
    words = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [FieldError.forbidden("metadata.finalizers", words)]


def ready_to_go(obj: Object) -> bool:
    """Whether nothing keeps an object that is being deleted any longer."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if obj["kind"] == "Namespace" and obj.get("spec", {}).get("finalizers"):
        return False
    return int(metadata.get("deletionGracePeriodSeconds") or 0) == 0
