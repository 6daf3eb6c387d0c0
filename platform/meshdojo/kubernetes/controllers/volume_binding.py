"""Binds claims to persistent volumes, and says of both what phase they are in.

A claim gets the smallest free volume that fits; where there is none its storage class's provisioner is asked for one,
by an annotation. Source: pkg/controller/volume/persistentvolume (pv_controller.go). Not here: reclaim policy Recycle,
and the repetition of events every fifteen seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.timestamps import now

_BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
_WAITS = "waiting for first consumer to be created before binding"
_NOTHING = "no persistent volumes available for this claim and no storage class is set"
_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)
_LOST = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
_MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"


class VolumeBinder(Controller):
    """Keys are claims (namespace, name) and volumes ('', name)."""

    name = "persistentvolume-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.claims = self.follow(claims.CLAIMS, _claim_and_its_volume)
        self.volumes = self.follow(claims.VOLUMES, self._volume_and_claims)
        self.classes = self.follow(claims.CLASSES, lambda old, new: self._unbound())

    async def reconcile(self, key: Key) -> None:
        if not key[0]:
            volume = self.volumes.get(*key)
            if volume is not None:
                await self._sync_volume(volume)
            return
        claim = self.claims.get(*key)
        if claim is None:
            return
        if claims.is_bound(claim):
            await self._sync_bound(claim)
        elif not claim["metadata"].get("deletionTimestamp"):
            await self._sync_unbound(claim)

    def _volume_and_claims(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        yield from itself(old, new)
        reference = ((new or old or {}).get("spec") or {}).get("claimRef")
        if reference:
            yield reference.get("namespace", ""), reference.get("name", "")
        else:
            yield from self._unbound()

    def _unbound(self) -> list[Key]:
        return [key_of(claim) for claim in self.claims.items() if not claims.is_bound(claim)]

    async def _sync_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef") or {}
        if not reference.get("uid"):
            await self._phase(volume, "Available")
            return
        claim = self.claims.get(reference["namespace"], reference["name"])
        if claim is None or claim["metadata"]["uid"] != reference["uid"]:
            await self._phase(volume, "Released")

    async def _sync_bound(self, claim: Object) -> None:
        volume = self.volumes.get("", claim["spec"]["volumeName"])
        if volume is None:
            await self._lose(claim, "ClaimLost", _LOST)
        elif volume["spec"].get("claimRef") and not claims.is_for(volume, claim):
            await self._lose(claim, "ClaimMisbound", _MISBOUND)
        else:
            await self._bind(claim, volume)

    async def _sync_unbound(self, claim: Object) -> None:
        named = claim["spec"].get("volumeName")
        if named:
            volume = self.volumes.get("", named)
            if volume is not None and (claims.is_for(volume, claim) or not volume["spec"].get("claimRef")):
                await self._bind(claim, volume)
            elif volume is not None:
                self.recorder.warning(claim, "FailedBinding", f'volume "{named}" already bound to a different claim.')
            return
        volume = claims.best(claim, self.volumes.items())
        storage_class = self.classes.get("", claims.class_of(claim))
        if volume is not None and (claims.is_for(volume, claim) or not self._is_delayed(claim, storage_class)):
            await self._bind(claim, volume)
        else:
            await self._ask(claim, storage_class)

    def _is_delayed(self, claim: Object, storage_class: Object | None) -> bool:
        """Whether the scheduler has still to choose: no pod wants the claim yet."""
        chosen = claims.annotation(claim, claims.SELECTED_NODE)
        return storage_class is not None and claims.waits_for_consumer(storage_class) and not chosen

    async def _ask(self, claim: Object, storage_class: Object | None) -> None:
        """Ask for a volume that is not there, or say why nobody can be asked."""
        name = claims.class_of(claim)
        if not name:
            self.recorder.normal(claim, "FailedBinding", _NOTHING)
        elif storage_class is None:
            self.recorder.warning(claim, "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
        elif self._is_delayed(claim, storage_class):
            self.recorder.normal(claim, "WaitForFirstConsumer", _WAITS)
        elif storage_class["provisioner"] == claims.NO_PROVISIONER:
            self.recorder.normal(claim, "FailedBinding", _NOTHING)
        elif claims.annotation(claim, claims.STORAGE_PROVISIONER) != storage_class["provisioner"]:
            provisioner = storage_class["provisioner"]
            given = dict.fromkeys((_BETA_PROVISIONER, claims.STORAGE_PROVISIONER), provisioner)
            await self.write(self.claims, _annotated(claim, given))
            self.recorder.normal(claim, "ExternalProvisioning", _EXTERNAL.format(provisioner))

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Four writes, each of which may have been made before: the volume and its phase, the claim and its own."""
        spec = volume["spec"]
        if not (spec.get("claimRef") or {}).get("uid"):
            given = {} if spec.get("claimRef") else {claims.BOUND_BY_CONTROLLER: "yes"}
            bound = {**volume, "spec": {**spec, "claimRef": claims.reference(claim)}}
            volume = await self.write(self.volumes, _annotated(bound, given))
        volume = await self._phase(volume, "Bound")
        if not claims.is_bound(claim):
            given = {} if claim["spec"].get("volumeName") else {claims.BOUND_BY_CONTROLLER: "yes"}
            named = {**claim, "spec": {**claim["spec"], "volumeName": volume["metadata"]["name"]}}
            claim = await self.write(self.claims, _annotated(named, {claims.BIND_COMPLETED: "yes", **given}))
        has = {"accessModes": spec.get("accessModes"), "capacity": {"storage": spec["capacity"]["storage"]}}
        await self.write_status(self.claims, claim, {**(claim.get("status") or {}), **has, "phase": "Bound"})

    async def _phase(self, volume: Object, phase: str) -> Object:
        before = volume.get("status") or {}
        if before.get("phase") == phase:
            return volume
        return await self.write_status(
            self.volumes, volume, {**before, "phase": phase, "lastPhaseTransitionTime": now()}
        )

    async def _lose(self, claim: Object, reason: str, message: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            await self.write_status(self.claims, claim, {"phase": "Lost"})
            self.recorder.warning(claim, reason, message)


def _claim_and_its_volume(old: Object | None, new: Object | None) -> Iterable[Key]:
    yield from itself(old, new)
    for claim in filter(None, (old, new)):
        if claim["spec"].get("volumeName"):
            yield "", claim["spec"]["volumeName"]


def _annotated(obj: Object, given: dict[str, Any]) -> Object:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **given}}}
