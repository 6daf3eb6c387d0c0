"""What the scheduler has to know of a pod's claims: are they bound, or can they be on this node?

Source: pkg/scheduler/framework/plugins/volumebinding.
"""

from __future__ import annotations

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubernetes import claims

_UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
_NO_VOLUME = "node(s) didn't find available persistent volumes to bind"


class VolumeBinding:
    """The scheduler's plugin of this name."""

    def __init__(self, client: Client, claim_cache: Informer, volumes: Informer, classes: Informer) -> None:
        self._client = client
        self._claims = claim_cache
        self._volumes = volumes
        self._classes = classes

    def problem(self, pod: Object) -> str:
        """Why no node would do for a pod's claims, as they are; '' for nothing."""
        for name in claims.claims_of(pod):
            claim = self._claims.get(pod["metadata"]["namespace"], name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if (claim.get("status") or {}).get("phase") == "Lost":
                return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{_named(claim)}"'
        waiting = [claim for claim in self._unbound(pod) if not self._waits_for_consumer(claim)]
        return _UNBOUND if waiting else ""

    def unfit(self, pod: Object) -> list[str]:
        """Why the node does not do: there is no volume for a claim, and nobody who would make one."""
        hopeless = [
            claim
            for claim in self._unbound(pod)
            if self._provisioner(claim) == claims.NO_PROVISIONER and not claims.best(claim, self._volumes.items())
        ]
        return [_NO_VOLUME] if hopeless else []

    async def bind(self, pod: Object, node: str) -> bool:
        """Have the pod's claims bound, for this node. False when that is still to come: a claim's change tells."""
        unbound = self._unbound(pod)
        for claim in unbound:
            volume = claims.best(claim, self._volumes.items())
            if volume is not None and not volume["spec"].get("claimRef"):
                await self._reserve(volume, claim)
            elif volume is None and not claims.annotation(claim, claims.SELECTED_NODE):
                await self._select(claim, node)
        return not unbound

    def _unbound(self, pod: Object) -> list[Object]:
        namespace = pod["metadata"]["namespace"]
        found = (self._claims.get(namespace, name) for name in claims.claims_of(pod))
        return [claim for claim in found if claim is not None and not claims.is_bound(claim)]

    def _waits_for_consumer(self, claim: Object) -> bool:
        storage_class = self._classes.get("", claims.class_of(claim))
        return storage_class is not None and claims.waits_for_consumer(storage_class)

    def _provisioner(self, claim: Object) -> str:
        storage_class = self._classes.get("", claims.class_of(claim)) or {}
        return str(storage_class.get("provisioner", ""))

    async def _reserve(self, volume: Object, claim: Object) -> None:
        changed = {
            "metadata": {
                "annotations": {claims.BOUND_BY_CONTROLLER: "yes"},
                "resourceVersion": volume["metadata"]["resourceVersion"],
            },
            "spec": {"claimRef": claims.reference(claim)},
        }
        try:
            self._volumes.observe(await self._client.patch(claims.VOLUMES, volume["metadata"]["name"], changed))
        except StatusError as error:
            if error.code not in (404, 409):  # gone, or somebody else's by now: what comes of it is told
                raise

    async def _select(self, claim: Object, node: str) -> None:
        metadata = claim["metadata"]
        changed = {"metadata": {"annotations": {claims.SELECTED_NODE: node}}}
        try:
            await self._client.patch(claims.CLAIMS, metadata["name"], changed, metadata["namespace"])
        except StatusError as error:
            if error.code != 404:
                raise


def _named(claim: Object) -> str:
    return str(claim["spec"].get("volumeName", ""))
