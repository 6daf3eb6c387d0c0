"""Which claims of a stateful set end with it, or with the pods that are scaled away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.controllers.volumes import claim

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.claims import CLAIMS

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
SETS = "statefulsets.apps"


def stateful_set(deleted: str, scaled: str) -> Object:
    spec = {
        "replicas": 2,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "one"}]}},
        "volumeClaimTemplates": [claim()],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled},
    }
    return {"metadata": {"name": "db"}, "spec": spec}


async def running(world: World, deleted: str, scaled: str) -> None:
    await world.api.create(SETS, stateful_set(deleted, scaled), "default")
    await world.until(SETS, "db", lambda obj: obj["status"].get("readyReplicas") == 2)


async def scaled_down(world: World) -> None:
    await world.api.patch(SETS, "db", {"spec": {"replicas": 1}}, "default")
    await world.gone("pods", "db-1")
    await world.settle()


async def names(world: World) -> list[str]:
    await world.settle()
    return [one["metadata"]["name"] for one in (await world.api.list(CLAIMS, "default")).items]


@pytest.mark.parametrize("deleted", ["Retain", "Delete"])
async def test_what_is_scaled_away_is_retained(world: World, deleted: str) -> None:
    await running(world, deleted, "Retain")
    await scaled_down(world)
    assert await names(world) == ["data-db-0", "data-db-1"]


@pytest.mark.parametrize("deleted", ["Retain", "Delete"])
async def test_what_is_scaled_away_goes(world: World, deleted: str) -> None:
    await running(world, deleted, "Delete")
    await scaled_down(world)
    await world.gone(CLAIMS, "data-db-1")
    assert await names(world) == ["data-db-0"]


async def test_with_the_set(world: World) -> None:
    await running(world, "Delete", "Retain")
    await world.api.delete(SETS, "db", "default")
    await world.gone(CLAIMS, "data-db-0")
    await world.gone(CLAIMS, "data-db-1")


async def test_a_policy_that_changes(world: World) -> None:
    await running(world, "Delete", "Retain")
    kept = {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}}
    await world.api.patch(SETS, "db", kept, "default")
    for name in ("data-db-0", "data-db-1"):
        await world.until(CLAIMS, name, lambda obj: not obj["metadata"].get("ownerReferences"))
    await world.api.delete(SETS, "db", "default")
    await world.gone("pods", "db-0")
    assert await names(world) == ["data-db-0", "data-db-1"]
