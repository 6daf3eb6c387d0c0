"""Pods of replica sets: made, deleted, adopted, released, refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes.controllers import replicasets
from meshdojo.kubernetes.controllers.pod_status import deletion_rank
from meshdojo.kubernetes.controllers.replicasets import LARGEST_BATCH

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
SETS = "replicasets.apps"
LABELS = {"app": "web"}


def replica_set(replicas: int = 2, image: str = "one", **spec: Any) -> Object:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template, **spec},
    }


def ready(count: int) -> Callable[[Object], bool]:
    return lambda obj: obj.get("status", {}).get("readyReplicas", 0) == count == obj["status"]["replicas"]


async def pod_names(world: World) -> set[str]:
    return {pod["metadata"]["name"] for pod in (await world.api.list("pods", "default")).items}


async def test_pods_are_made_with_an_owner_and_a_generated_name(world: World) -> None:
    made = await world.api.create(SETS, replica_set(), "default")
    found = await world.until(SETS, "web", ready(2))
    pods = (await world.api.list("pods", "default")).items
    for pod in pods:
        metadata = pod["metadata"]
        assert metadata["generateName"] == "web-"
        assert len(metadata["name"]) == len("web-") + 5
        assert metadata["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        assert metadata["ownerReferences"][0]["controller"] is True
    assert found["status"]["observedGeneration"] == 1
    await world.settle()
    status = (await world.api.get(SETS, "web", "default"))["status"]
    assert status["fullyLabeledReplicas"] == status["availableReplicas"] == 2
    wanted = {f"SuccessfulCreate: Created pod: {pod['metadata']['name']}" for pod in pods}
    assert set(await world.messages("ReplicaSet")) == wanted


async def test_a_deleted_pod_is_replaced(world: World) -> None:
    await world.api.create(SETS, replica_set(), "default")
    await world.until(SETS, "web", ready(2))
    victim = sorted(await pod_names(world))[0]
    await world.api.delete("pods", victim, "default")
    await world.gone("pods", victim)
    await world.until_all("pods", lambda pods: len(pods) == 2)


async def test_scaling_down_says_which_pods_went(world: World) -> None:
    await world.api.create(SETS, replica_set(3), "default")
    await world.until(SETS, "web", ready(3))
    before = await pod_names(world)
    await world.api.patch(SETS, "web", {"spec": {"replicas": 1}}, "default")
    await world.until(SETS, "web", ready(1))
    await world.until_all("pods", lambda pods: len(pods) == 1)
    gone = before - await pod_names(world)
    deleted = {message for message in await world.messages("ReplicaSet") if message.startswith("SuccessfulDelete")}
    assert deleted == {f"SuccessfulDelete: Deleted pod: {name}" for name in gone}


async def test_a_pod_that_loses_its_label_is_released_and_replaced(world: World) -> None:
    await world.api.create(SETS, replica_set(1), "default")
    await world.until(SETS, "web", ready(1))
    (name,) = await pod_names(world)
    await world.api.patch("pods", name, {"metadata": {"labels": {"app": "other"}}}, "default")
    released = await world.until("pods", name, lambda pod: "ownerReferences" not in pod["metadata"])
    assert released["metadata"]["labels"] == {"app": "other"}
    await world.until_all("pods", lambda pods: len(pods) == 2)


async def test_a_matching_pod_without_owner_is_adopted_in_place_of_a_new_one(world: World) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": LABELS},
        "spec": {"containers": [{"name": "app", "image": "one"}]},
    }
    await world.api.create("pods", pod, "default")
    await world.until("pods", "stray", lambda pod: pod["status"].get("podIP"))
    made = await world.api.create(SETS, replica_set(1), "default")
    await world.until(SETS, "web", ready(1))
    assert await pod_names(world) == {"stray"}
    adopted = await world.api.get("pods", "stray", "default")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]


async def test_a_refused_pod_becomes_an_event_and_a_condition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    create = world.api.create
    words = 'admission webhook "sidecar-injector" denied the request: no'

    async def refuse(resource: str, *args: Any, **more: Any) -> Object:
        if resource == "pods" and not more.get("subresource"):
            raise StatusError(400, "", words)
        return await create(resource, *args, **more)

    monkeypatch.setattr(world.api, "create", refuse)
    await world.api.create(SETS, replica_set(1), "default")
    found = await world.until(SETS, "web", lambda obj: obj.get("status", {}).get("conditions"))
    (condition,) = found["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert condition["message"] == words
    assert f"FailedCreate: Error creating: {words}" in await world.messages("ReplicaSet")
    monkeypatch.setattr(world.api, "create", create)
    recovered = await world.until(SETS, "web", ready(1))
    assert "conditions" not in recovered["status"]


async def test_min_ready_seconds_delays_availability(world: World) -> None:
    await world.api.create(SETS, replica_set(1, minReadySeconds=1), "default")
    found = await world.until(SETS, "web", ready(1))
    assert "availableReplicas" not in found["status"]
    await world.until(SETS, "web", lambda obj: obj["status"].get("availableReplicas") == 1)


def pod(
    *,
    node: str = "n",
    phase: str = "Running",
    since: str | None = "2026-01-01T00:00:00Z",
    restarts: int = 0,
    cost: str = "0",
) -> Object:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}] if since else []
    annotations = {"controller.kubernetes.io/pod-deletion-cost": cost}
    statuses = [{"restartCount": restarts}]
    return {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "annotations": annotations},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": statuses},
    }


@pytest.mark.parametrize(
    ("goes", "stays"),
    [
        (pod(node="", phase="Pending", since=None), pod(since=None)),
        (pod(phase="Pending", since=None), pod(since=None)),
        (pod(since=None), pod()),
        (pod(cost="-1"), pod()),
        (pod(since="2026-02-01T00:00:00Z"), pod()),
        (pod(restarts=3), pod()),
    ],
    ids=["unassigned", "pending", "not ready", "cheaper", "ready later", "restarted more"],
)
def test_which_pod_goes_first(goes: Object, stays: Object) -> None:
    assert sorted([stays, goes], key=deletion_rank) == [goes, stays]


async def test_a_replication_controller_keeps_its_pods_too(world: World) -> None:
    labels = {"app": "old"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "x"}]}}
    controller = {"metadata": {"name": "old"}, "spec": {"replicas": 2, "template": template}}

    made = await world.api.create("replicationcontrollers", controller, "default")
    await world.until("replicationcontrollers", "old", lambda one: one["status"].get("readyReplicas") == 2)
    await world.api.patch("replicationcontrollers", "old", {"spec": {"replicas": 1}}, "default", subresource="scale")
    await world.until("replicationcontrollers", "old", lambda one: one["status"]["replicas"] == 1)
    await world.settle()
    pods = (await world.api.list("pods", "default", labels="app=old")).items
    scale = await world.api.get("replicationcontrollers", "old", "default", subresource="scale")
    await world.api.delete("replicationcontrollers", "old", "default", propagation="Background")
    await world.until_all("pods", lambda pods: not pods)

    assert made["spec"]["selector"] == labels
    assert scale["status"]["selector"] == "app=old"
    assert [pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods] == ["ReplicationController"]


async def test_many_pods_keep_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody typed a zero too many: the API answers meanwhile, and the zero can be taken back."""
    monkeypatch.setattr(replicasets, "BURST", 25)
    await world.api.create(SETS, replica_set(100_000), "default")
    counts = [0]
    while counts[-1] < 60:
        await asyncio.sleep(0)
        counts.append(len(world.api.store.list("pods")))
    await world.api.patch(SETS, "web", {"spec": {"replicas": 0}}, "default")
    await world.until(SETS, "web", lambda one: one["spec"]["replicas"] == one["status"]["replicas"] == 0)

    assert max(later - earlier for earlier, later in pairwise(counts)) <= LARGEST_BATCH
