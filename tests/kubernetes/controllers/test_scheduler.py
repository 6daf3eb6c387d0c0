"""Which pods are bound, and what is said of those that are not. Words recorded on Kubernetes 1.34.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
TAIL = " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def pod(name: str = "a", requests: Object | None = None, **spec: Any) -> Object:
    container: Object = {"name": "app", "image": "one"}
    if requests:
        container["resources"] = {"requests": requests}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def scheduled(obj: Object) -> Object:
    conditions = obj["status"].get("conditions", [])
    found: Object = next((one for one in conditions if one["type"] == "PodScheduled"), {})
    return found


async def test_a_pod_is_bound_to_the_node(world: World) -> None:
    await world.api.create("pods", pod(), "default")
    found = await world.until("pods", "a", lambda obj: obj["spec"].get("nodeName"))
    assert found["spec"]["nodeName"] == "meshdojo"
    assert scheduled(found)["status"] == "True"
    assert await world.messages("Pod") == ["Scheduled: Successfully assigned default/a to meshdojo"]


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        ({"nodeSelector": {"a": "b"}}, "1 node(s) didn't match Pod's node affinity/selector."),
        ({"requests": {"cpu": "9999", "memory": "900Ti"}}, "1 Insufficient cpu, 1 Insufficient memory."),
    ],
    ids=["node selector", "requests"],
)
async def test_a_pod_that_does_not_fit_says_why(world: World, unfit: Any, reason: str) -> None:
    await world.api.create("pods", pod(**unfit), "default")
    found = await world.until("pods", "a", scheduled)
    condition = scheduled(found)
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == f"0/1 nodes are available: {reason}{TAIL}"
    assert await world.messages("Pod") == [f"FailedScheduling: {condition['message']}"]


async def test_a_cordoned_node_takes_no_pods_until_it_is_uncordoned(world: World) -> None:
    await world.api.patch("nodes", "meshdojo", {"spec": {"unschedulable": True}})
    await world.api.create("pods", pod(), "default")
    found = await world.until("pods", "a", scheduled)
    assert "1 node(s) were unschedulable" in scheduled(found)["message"]
    await world.api.patch("nodes", "meshdojo", {"spec": {"unschedulable": None}})
    await world.until("pods", "a", lambda obj: obj["spec"].get("nodeName"))


async def test_a_pod_waits_for_room(world: World) -> None:
    cpus = int((await world.api.get("nodes", "meshdojo"))["status"]["allocatable"]["cpu"])
    await world.api.create("pods", pod("first", {"cpu": f"{cpus * 1000 - 100}m"}), "default")
    await world.until("pods", "first", lambda obj: obj["spec"].get("nodeName"))
    await world.api.create("pods", pod("second", {"cpu": "200m"}), "default")
    await world.until("pods", "second", scheduled)
    await world.api.delete("pods", "first", "default")
    await world.until("pods", "second", lambda obj: obj["spec"].get("nodeName"))


@pytest.mark.parametrize("key", ["kubernetes.io/hostname", "example.com/no"])
async def test_node_affinity(world: World, key: str) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    await world.api.create("pods", pod(affinity=affinity), "default")
    found = await world.until("pods", "a", scheduled)
    assert (scheduled(found)["status"] == "True") is (key == "kubernetes.io/hostname")


async def test_a_taint_keeps_pods_away_that_do_not_tolerate_it(world: World) -> None:
    taint = {"key": "mine", "value": "yes", "effect": "NoSchedule"}
    await world.api.patch("nodes", "meshdojo", {"spec": {"taints": [taint]}})
    await world.api.create("pods", pod("a"), "default")
    toleration = {"key": "mine", "operator": "Exists", "effect": "NoSchedule"}
    await world.api.create("pods", pod("b", tolerations=[toleration]), "default")
    await world.until("pods", "b", lambda obj: obj["spec"].get("nodeName"))
    found = await world.until("pods", "a", scheduled)
    assert "1 node(s) had untolerated taint {mine: yes}" in scheduled(found)["message"]


async def test_pods_of_another_scheduler_are_left_alone(world: World) -> None:
    await world.api.create("pods", pod(schedulerName="mine"), "default")
    await world.settle()
    assert "nodeName" not in (await world.api.get("pods", "a", "default"))["spec"]
