"""Makes volumes for claims: a directory of this machine each, below the environment's own.

What kind's cluster has a provisioner from elsewhere for (rancher.io/local-path). The events and refusals are those of
the library that such provisioners are made of (sigs.k8s.io/sig-storage-lib-external-provisioner) and of local-path's.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself

_MODES = ("ReadWriteOnce", "ReadWriteOncePod")
_ONE_NODE = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
_NO_BLOCK = "volumes of mode Block do not exist in this cluster"


class VolumeProvisioner(Controller):
    """Keys are claims (namespace, name) and volumes ('', name). The directories are made in `directory`."""

    name = claims.PROVISIONER

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        super().__init__(cluster)
        self._directory = directory
        self.claims = self.follow(claims.CLAIMS, itself)
        self.volumes = self.follow(claims.VOLUMES, itself)
        self.classes = self.follow(claims.CLASSES, lambda old, new: self._waiting())

    async def reconcile(self, key: Key) -> None:
        if key[0]:
            claim = self.claims.get(*key)
            if claim is not None and _is_asked(claim):
                await self._provision(claim)
            return
        volume = self.volumes.get(*key)
        if volume is not None and _is_to_go(volume):
            await self._reclaim(volume)

    def _waiting(self) -> Iterable[Key]:
        return [key_of(claim) for claim in self.claims.items() if _is_asked(claim)]

    async def _provision(self, claim: Object) -> None:
        storage_class = self.classes.get("", claims.class_of(claim))
        if storage_class is None:
            return
        if claims.waits_for_consumer(storage_class) and not claims.annotation(claim, claims.SELECTED_NODE):
            return
        namespace, name = key_of(claim)
        problem = _problem(claim)
        if problem:
            class_name = storage_class["metadata"]["name"]
            words = f'failed to provision volume with StorageClass "{class_name}": {problem}'
            self.recorder.warning(claim, "ProvisioningFailed", words)
            return
        words = f'External provisioner is provisioning volume for claim "{namespace}/{name}"'
        self.recorder.normal(claim, "Provisioning", words)
        volume = _volume(claim, storage_class, self._directory)
        await asyncio.to_thread(Path(volume["spec"]["hostPath"]["path"]).mkdir, parents=True, exist_ok=True)
        try:
            self.volumes.observe(await self.client.create(claims.VOLUMES, volume))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        words = f"Successfully provisioned volume {volume['metadata']['name']}"
        self.recorder.normal(claim, "ProvisioningSucceeded", words)

    async def _reclaim(self, volume: Object) -> None:
        name = volume["metadata"]["name"]
        # What the volume's spec says of its path may be anybody's; what is deleted is only what was made here.
        for path in self._directory.glob(f"{name}_*"):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        try:
            await self.client.delete(claims.VOLUMES, name, uid=volume["metadata"]["uid"])
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _is_asked(claim: Object) -> bool:
    asked = claims.annotation(claim, claims.STORAGE_PROVISIONER) == claims.PROVISIONER
    return asked and not claim["spec"].get("volumeName") and not claim["metadata"].get("deletionTimestamp")


def _is_to_go(volume: Object) -> bool:
    return (
        claims.annotation(volume, claims.PROVISIONED_BY) == claims.PROVISIONER
        and (volume.get("status") or {}).get("phase") == "Released"
        and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and not volume["metadata"].get("deletionTimestamp")
    )


def _problem(claim: Object) -> str:
    """Why there can be no volume for a claim; '' if there can."""
    if claim["spec"].get("volumeMode") == "Block":
        return _NO_BLOCK
    return "" if set(claim["spec"].get("accessModes") or ()) <= set(_MODES) else _ONE_NODE


def _volume(claim: Object, storage_class: Object, directory: Path) -> Object:
    namespace, claimed = key_of(claim)
    name = f"pvc-{claim['metadata']['uid']}"
    return {
        "metadata": {"name": name, "annotations": {claims.PROVISIONED_BY: claims.PROVISIONER}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claims.requested(claim)},
            "claimRef": claims.reference(claim),
            "hostPath": {"path": str(directory / f"{name}_{namespace}_{claimed}"), "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": "Filesystem",
        },
    }
