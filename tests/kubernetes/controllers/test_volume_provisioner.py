"""Directories for claims: made when a pod wants them, gone with the claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.controllers.volumes import claim, phase, pod

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.claims import CLAIMS, CLASSES, PROVISIONED_BY, PROVISIONER, VOLUMES

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def provisioned(world: World, **spec: Any) -> Object:
    await world.api.create(CLAIMS, claim(**spec), "default")
    await world.api.create("pods", pod(), "default")
    found = await world.until(CLAIMS, "data", lambda obj: phase(obj) == "Bound")
    return await world.api.get(VOLUMES, found["spec"]["volumeName"])


def directory(volume: Object) -> Path:
    return Path(volume["spec"]["hostPath"]["path"])


def is_there(volume: Object) -> bool:
    return directory(volume).is_dir()


async def test_a_claim_gets_a_directory_when_a_pod_wants_it(world: World) -> None:
    await world.api.create(CLAIMS, claim(), "default")
    await world.settle()
    assert (await world.api.list(VOLUMES)).items == []
    await world.api.create("pods", pod(), "default")
    found = await world.until(CLAIMS, "data", lambda obj: phase(obj) == "Bound")
    made = await world.api.get(VOLUMES, found["spec"]["volumeName"])
    assert made["metadata"]["name"] == f"pvc-{found['metadata']['uid']}"
    assert made["spec"]["capacity"] == {"storage": "1Gi"}
    assert is_there(made)
    await world.until("pods", "user", lambda obj: obj["spec"].get("nodeName"))
    assert [message.partition(":")[0] for message in await world.messages("PersistentVolumeClaim")] == [
        *("WaitForFirstConsumer", "ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"),
    ]  # fmt: skip


async def test_it_goes_with_the_claim(world: World) -> None:
    made = await provisioned(world)
    directory(made).joinpath("file").write_text("what a pod wrote")
    await world.api.delete("pods", "user", "default")
    await world.gone("pods", "user")
    await world.api.delete(CLAIMS, "data", "default")
    await world.gone(VOLUMES, made["metadata"]["name"], None)
    assert not is_there(made)


async def test_one_that_is_retained_stays(world: World) -> None:
    more = {"reclaimPolicy": "Retain", "volumeBindingMode": "Immediate"}
    await world.api.create(CLASSES, {"metadata": {"name": "kept"}, "provisioner": PROVISIONER, **more})
    made = await provisioned(world, storageClassName="kept")
    await world.api.delete("pods", "user", "default")
    await world.api.delete(CLAIMS, "data", "default")
    await world.until(VOLUMES, made["metadata"]["name"], lambda obj: phase(obj) == "Released", None)
    await world.settle()
    assert is_there(made)


@pytest.mark.parametrize(
    ("asked", "why"),
    [({"accessModes": ["ReadWriteMany"]}, "NodePath only supports ReadWriteOnce"), ({"volumeMode": "Block"}, "Block")],
)
async def test_what_it_cannot_make_it_says(world: World, asked: Object, why: str) -> None:
    await world.api.create(CLAIMS, claim(**asked), "default")
    await world.api.create("pods", pod(), "default")
    await world.until(CLAIMS, "data", lambda obj: obj["metadata"].get("annotations"))
    last = (await world.messages("PersistentVolumeClaim"))[-1]
    assert last.startswith('ProvisioningFailed: failed to provision volume with StorageClass "standard": ')
    assert why in last


async def test_a_directory_that_it_did_not_make_is_left_alone(world: World, tmp_path: Path) -> None:
    """The path in a volume's spec may be anybody's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    reference = {"namespace": "default", "name": "gone", "uid": "gone"}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(elsewhere)},
        "claimRef": reference,
        "persistentVolumeReclaimPolicy": "Delete",
    }
    metadata = {"name": "forged", "annotations": {PROVISIONED_BY: PROVISIONER}}
    await world.api.create(VOLUMES, {"metadata": metadata, "spec": spec})
    await world.gone(VOLUMES, "forged", None)
    assert elsewhere.is_dir()
