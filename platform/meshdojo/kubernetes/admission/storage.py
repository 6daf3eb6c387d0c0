"""DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize: what becomes of a claim.

Source: plugin/pkg/admission/storage.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import claims, errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.store import Store

_FINALIZERS = {claims.CLAIMS: claims.CLAIM_PROTECTION, claims.VOLUMES: claims.VOLUME_PROTECTION}
_NO_RESIZE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class StorageObjects:
    """Of claims and volumes: the finalizer that protects them, the default class, and no growth where none can be."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> Object | None:
        """A new claim or volume with what every one has."""
        obj, storage = attributes.obj, attributes.resource.storage
        if obj is None or storage not in _FINALIZERS or attributes.operation != "CREATE" or attributes.subresource:
            return obj
        present = obj["metadata"].get("finalizers") or []
        if _FINALIZERS[storage] not in present:
            obj = {**obj, "metadata": {**obj["metadata"], "finalizers": [*present, _FINALIZERS[storage]]}}
        if storage == claims.CLAIMS and obj.get("spec", {}).get("storageClassName") is None:
            default = self._default_class()
            if default:
                obj = {**obj, "spec": {**(obj.get("spec") or {}), "storageClassName": default}}
        return obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError 403 for a claim that grows: the storage classes of this cluster do not allow it."""
        new, old = attributes.obj, attributes.old
        if new is None or old is None or attributes.resource.storage != claims.CLAIMS or attributes.subresource:
            return
        grows = quantity.parse(claims.requested(new)) > quantity.parse(claims.requested(old))
        if grows and (old.get("status") or {}).get("phase") == "Bound" and not self._may_grow(old):
            raise errors.forbidden(attributes.resource, attributes.name, _NO_RESIZE)

    def _may_grow(self, claim: Object) -> bool:
        found = self._store.get(claims.CLASSES, "", claims.class_of(claim))
        return bool(found and found.get("allowVolumeExpansion"))

    def _default_class(self) -> str:
        """Of several the newest, of these the first by name; '' for none."""
        marked = [one for one in self._store.list(claims.CLASSES) if _is_default(one)]
        newest = max(marked, key=lambda one: one["metadata"]["creationTimestamp"], default=None)
        return newest["metadata"]["name"] if newest else ""


def _is_default(storage_class: Object) -> bool:
    return claims.annotation(storage_class, claims.DEFAULT_CLASS) == "true"
