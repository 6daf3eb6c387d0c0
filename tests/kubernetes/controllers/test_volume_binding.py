"""Which claim gets which volume, and the phases of both. Words recorded on Kubernetes 1.34.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.controllers.volumes import claim, phase, volume

from meshdojo.kubernetes.claims import CLAIMS, CLASSES, VOLUMES

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def bound(world: World, name: str = "data") -> str:
    found = await world.until(CLAIMS, name, lambda obj: phase(obj) == "Bound")
    return str(found["spec"]["volumeName"])


async def test_the_smallest_volume_that_fits(world: World) -> None:
    for name, size in (("large", "9Gi"), ("fits", "2Gi"), ("small", "500Mi")):
        await world.api.create(VOLUMES, volume(name, capacity={"storage": size}))
        await world.until(VOLUMES, name, lambda obj: phase(obj) == "Available", None)
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    assert await bound(world) == "fits"
    found = await world.api.get(CLAIMS, "data", "default")
    assert found["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}}
    taken = await world.until(VOLUMES, "fits", lambda obj: phase(obj) == "Bound", None)
    assert taken["spec"]["claimRef"]["uid"] == found["metadata"]["uid"]


async def test_a_claim_waits_for_its_volume(world: World) -> None:
    await world.api.create(CLAIMS, claim(storageClassName=""), "default")
    words = "FailedBinding: no persistent volumes available for this claim and no storage class is set"
    assert await world.messages("PersistentVolumeClaim") == [words]
    await world.api.create(VOLUMES, volume(storageClassName=""))
    assert await bound(world) == "one"


async def test_a_class_that_is_not_there(world: World) -> None:
    await world.api.create(CLAIMS, claim(storageClassName="later"), "default")
    words = 'ProvisioningFailed: storageclass.storage.k8s.io "later" not found'
    assert await world.messages("PersistentVolumeClaim") == [words]
    await world.api.create(CLASSES, {"metadata": {"name": "later"}, "provisioner": "example.com/x"})
    asked = await world.until(CLAIMS, "data", lambda obj: obj["metadata"].get("annotations"))
    assert asked["metadata"]["annotations"] == {
        "volume.beta.kubernetes.io/storage-provisioner": "example.com/x",
        "volume.kubernetes.io/storage-provisioner": "example.com/x",
    }


async def test_a_volume_by_its_name(world: World) -> None:
    await world.api.create(VOLUMES, volume())
    await world.api.create(CLAIMS, claim(storageClassName="manual", volumeName="one"), "default")
    assert await bound(world) == "one"
    found = await world.api.get(CLAIMS, "data", "default")
    assert found["metadata"]["annotations"] == {"pv.kubernetes.io/bind-completed": "yes"}
    await world.api.create(CLAIMS, claim("second", storageClassName="manual", volumeName="one"), "default")
    await world.settle()
    messages = await world.messages("PersistentVolumeClaim")
    assert messages == ['FailedBinding: volume "one" already bound to a different claim.']


async def test_a_volume_without_its_claim_is_released_and_one_that_is_kept_is_not_used_again(world: World) -> None:
    await world.api.create(VOLUMES, volume())
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    await bound(world)
    await world.api.delete(CLAIMS, "data", "default")
    await world.until(VOLUMES, "one", lambda obj: phase(obj) == "Released", None)
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    await world.settle()
    assert phase(await world.api.get(CLAIMS, "data", "default")) == "Pending"


async def test_a_claim_without_its_volume_is_lost(world: World) -> None:
    await world.api.create(VOLUMES, volume())
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    await bound(world)
    await world.api.delete(VOLUMES, "one")
    await world.api.patch(VOLUMES, "one", {"metadata": {"finalizers": None}})
    await world.until(CLAIMS, "data", lambda obj: phase(obj) == "Lost")
    words = "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert await world.messages("PersistentVolumeClaim") == [words]
