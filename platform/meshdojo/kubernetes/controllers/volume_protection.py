"""Lets a claim that is being deleted go when no pod uses it any more, and a volume when it is not bound.

Source: pkg/controller/volume/pvcprotection and pvprotection.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Informer, Key
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself

BY_CLAIM = "claim"


class VolumeProtection(Controller):
    """Keys are claims (namespace, name) and volumes ('', name)."""

    name = "pvc-protection-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.claims = self.follow(claims.CLAIMS, itself)
        self.volumes = self.follow(claims.VOLUMES, itself)
        self.pods = self.follow("pods", _claims_of_gone)
        self.pods.add_index(BY_CLAIM, lambda pod: [_indexed(pod, name) for name in claims.claims_of(pod)])

    async def reconcile(self, key: Key) -> None:
        informer = self.claims if key[0] else self.volumes
        obj = informer.get(*key)
        if obj is None or not obj["metadata"].get("deletionTimestamp"):
            return
        if not (self._is_used(key) if key[0] else (obj.get("status") or {}).get("phase") == "Bound"):
            await self._release(informer, obj, claims.CLAIM_PROTECTION if key[0] else claims.VOLUME_PROTECTION)

    def _is_used(self, key: Key) -> bool:
        """By a pod that the kubelet knows of, whether or not it still runs."""
        return any(pod["spec"].get("nodeName") for pod in self.pods.indexed(BY_CLAIM, "/".join(key)))

    async def _release(self, informer: Informer, obj: Object, finalizer: str) -> None:
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            left = [one for one in finalizers if one != finalizer]
            await self.write(informer, {**obj, "metadata": {**obj["metadata"], "finalizers": left}})


def _indexed(pod: Object, name: str) -> str:
    return f"{pod['metadata']['namespace']}/{name}"


def _claims_of_gone(old: Object | None, new: Object | None) -> Iterable[Key]:
    if old and new is None:
        for name in claims.claims_of(old):
            yield old["metadata"]["namespace"], name
