"""Pods that wait for their claims. Words recorded on Kubernetes 1.34.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.controllers.volumes import claim, pod, volume

from meshdojo.kubernetes.claims import CLAIMS, CLASSES, NO_PROVISIONER, VOLUMES

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def says(world: World, **more: Any) -> str:
    await world.api.create("pods", pod(**more), "default")
    found = await world.until("pods", "user", lambda obj: obj["status"].get("conditions"))
    return str(found["status"]["conditions"][0]["message"]).removeprefix("0/1 nodes are available: ")


async def test_a_claim_that_is_not_there_yet(world: World) -> None:
    assert await says(world) == 'persistentvolumeclaim "data" not found. not found'
    await world.api.create(CLAIMS, claim(), "default")
    await world.until("pods", "user", lambda obj: obj["spec"].get("nodeName"))


async def test_a_claim_that_nobody_serves(world: World) -> None:
    await world.api.create(CLAIMS, claim(storageClassName=""), "default")
    await world.settle()
    assert await says(world) == "pod has unbound immediate PersistentVolumeClaims. not found"
    await world.api.create(VOLUMES, volume(storageClassName=""))
    await world.until("pods", "user", lambda obj: obj["spec"].get("nodeName"))


async def test_volumes_made_by_hand_for_who_comes_first(world: World) -> None:
    more = {"provisioner": NO_PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}
    await world.api.create(CLASSES, {"metadata": {"name": "manual"}, **more})
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    await world.settle()
    assert (await says(world)).startswith("1 node(s) didn't find available persistent volumes to bind.")
    await world.api.create(VOLUMES, volume())
    await world.until("pods", "user", lambda obj: obj["spec"].get("nodeName"))
    assert (await world.api.get(CLAIMS, "data", "default"))["spec"]["volumeName"] == "one"


async def test_a_claim_that_goes(world: World) -> None:
    await world.api.create(
        CLAIMS, {**claim(), "metadata": {"name": "data", "finalizers": ["example.com/a"]}}, "default"
    )
    await world.settle()
    await world.api.delete(CLAIMS, "data", "default")
    await world.settle()
    assert await says(world) == 'persistentvolumeclaim "data" is being deleted. not found'
