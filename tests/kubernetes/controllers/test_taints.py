"""Taints with the effect NoExecute: who has to go, when, and who may stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.kubernetes.controllers.taints import tolerated_seconds

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
TAINT = {"key": "out", "value": "now", "effect": "NoExecute"}
FOR_EVER = float("inf")


async def running(world: World, name: str, **spec: Any) -> None:
    pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "app", "image": "x"}], **spec}}
    await world.api.create("pods", pod, "default")
    await world.until("pods", name, lambda pod: pod.get("status", {}).get("phase") == "Running")


async def taint(world: World, *taints: dict[str, str]) -> None:
    await world.api.patch("nodes", "meshdojo", {"spec": {"taints": list(taints)}})


async def names(world: World) -> set[str]:
    return {pod["metadata"]["name"] for pod in (await world.api.list("pods", "default")).items}


async def test_what_does_not_tolerate_the_taint_has_to_go(world: World) -> None:
    await running(world, "plain")
    await running(world, "tolerant", tolerations=[{"key": "out", "operator": "Exists"}])
    await running(world, "other", tolerations=[{"key": "out", "value": "later", "effect": "NoExecute"}])

    await taint(world, TAINT)
    await world.gone("pods", "plain")
    await world.gone("pods", "other")
    await world.settle()

    assert await names(world) == {"tolerant"}
    assert "TaintManagerEviction: Marking for deletion Pod default/plain" in await world.messages("Pod")


async def test_what_only_keeps_new_pods_away_drives_none_out(world: World) -> None:
    await running(world, "plain")

    await taint(world, {**TAINT, "effect": "NoSchedule"})
    await world.settle()

    assert await names(world) == {"plain"}


async def test_a_pod_may_stay_for_as_long_as_it_tolerates(world: World) -> None:
    tolerated = {"key": "out", "operator": "Exists", "effect": "NoExecute"}
    await running(world, "brief", tolerations=[{**tolerated, "tolerationSeconds": 0}])
    await running(world, "patient", tolerations=[{**tolerated, "tolerationSeconds": 3600}])

    await taint(world, TAINT)
    await world.gone("pods", "brief")
    await world.settle()
    assert await names(world) == {"patient"}

    await taint(world)
    assert "TaintManagerEviction: Cancelling deletion of Pod default/patient" in await world.messages("Pod")


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0),
        ([{"operator": "Exists"}], FOR_EVER),
        ([{"key": "out", "value": "now", "tolerationSeconds": 7}], 7),
        ([{"key": "out", "operator": "Exists", "tolerationSeconds": -1}], 0),
        ([{"key": "out", "value": "now", "effect": "NoSchedule"}], 0),
    ],
)
def test_the_time_that_is_tolerated(tolerations: list[dict[str, Any]], seconds: float) -> None:
    assert tolerated_seconds(tolerations, [TAINT]) == seconds
    assert tolerated_seconds(tolerations, []) == FOR_EVER
