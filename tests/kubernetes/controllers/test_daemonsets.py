"""Daemon sets on the one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
SETS, REVISIONS = "daemonsets.apps", "controllerrevisions.apps"


def daemon_set(image: str = "one", **pod: Any) -> Object:
    labels = {"app": "agent"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}], **pod}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def ready(obj: Object) -> bool:
    status = obj.get("status", {})
    return [status.get(name) for name in ("numberAvailable", "updatedNumberScheduled")] == [1, 1]


async def test_one_pod_on_the_node(world: World) -> None:
    await world.api.create(SETS, daemon_set(), "default")
    await world.until(SETS, "agent", ready)
    await world.settle()
    found = await world.api.get(SETS, "agent", "default")
    assert found["status"] == {
        "currentNumberScheduled": 1,
        "desiredNumberScheduled": 1,
        "numberAvailable": 1,
        "numberMisscheduled": 0,
        "numberReady": 1,
        "observedGeneration": 1,
        "updatedNumberScheduled": 1,
    }
    (pod,) = (await world.api.list("pods", "default")).items
    (revision,) = (await world.api.list(REVISIONS, "default")).items
    assert pod["metadata"]["labels"]["controller-revision-hash"] == revision["metadata"]["name"].removeprefix("agent-")
    assert await world.messages("DaemonSet") == [f"SuccessfulCreate: Created pod: {pod['metadata']['name']}"]


async def test_an_update_replaces_the_pod_and_undo_reuses_the_revision(world: World) -> None:
    await world.api.create(SETS, daemon_set(), "default")
    await world.until(SETS, "agent", ready)
    for image, number in (("two", 2), ("one", 3)):
        template = {"spec": {"containers": [{"name": "app", "image": image}]}}
        await world.api.patch(SETS, "agent", {"spec": {"template": template}}, "default", type="strategic")
        await world.until_all(
            "pods",
            lambda pods, wanted=image: [pod["spec"]["containers"][0]["image"] for pod in pods] == [wanted],  # type: ignore[misc]
        )
        await world.settle()
        revisions = (await world.api.list(REVISIONS, "default")).items
        assert max(one["revision"] for one in revisions) == number
        assert len(revisions) == 2


async def test_a_cordoned_node_keeps_its_daemons(world: World) -> None:
    await world.api.patch("nodes", "meshdojo", {"spec": {"unschedulable": True}})
    await world.api.create(SETS, daemon_set(), "default")
    await world.until(SETS, "agent", ready)


async def test_a_node_that_does_not_match_gets_no_pod(world: World) -> None:
    await world.api.create(SETS, daemon_set(nodeSelector={"disk": "fast"}), "default")
    await world.until(SETS, "agent", lambda obj: obj.get("status", {}).get("observedGeneration"))
    assert (await world.api.list("pods", "default")).items == []
    await world.api.patch("nodes", "meshdojo", {"metadata": {"labels": {"disk": "fast"}}})
    await world.until(SETS, "agent", ready)
