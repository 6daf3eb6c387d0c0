"""What is used is not deleted yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.controllers.volumes import claim, phase, pod, volume

from meshdojo.kubernetes.claims import CLAIMS, VOLUMES

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def test_a_claim_stays_until_its_last_pod_is_gone(world: World) -> None:
    await world.api.create(CLAIMS, claim(), "default")
    await world.api.create("pods", pod(), "default")
    await world.until("pods", "user", lambda obj: obj["spec"].get("nodeName"))
    await world.api.delete(CLAIMS, "data", "default")
    await world.settle()
    assert (await world.api.get(CLAIMS, "data", "default"))["metadata"]["deletionTimestamp"]
    await world.api.delete("pods", "user", "default")
    await world.gone(CLAIMS, "data")


async def test_a_pod_that_waits_keeps_no_claim(world: World) -> None:
    await world.api.create(CLAIMS, claim(storageClassName=""), "default")
    await world.api.create("pods", pod(), "default")
    await world.settle()
    await world.api.delete(CLAIMS, "data", "default")
    await world.gone(CLAIMS, "data")


async def test_a_volume_stays_until_it_is_not_bound(world: World) -> None:
    await world.api.create(VOLUMES, volume())
    await world.api.create(CLAIMS, claim(storageClassName="manual"), "default")
    await world.until(VOLUMES, "one", lambda obj: phase(obj) == "Bound", None)
    await world.api.delete(VOLUMES, "one")
    await world.settle()
    assert (await world.api.get(VOLUMES, "one"))["metadata"]["deletionTimestamp"]
    await world.api.delete(CLAIMS, "data", "default")
    await world.gone(VOLUMES, "one", None)
