"""Stateful sets: names, order, updates from the last to the first. Words recorded on Kubernetes 1.34.4."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.controllers import statefulsets

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
SETS = "statefulsets.apps"


def stateful_set(image: str = "one", replicas: int = 3, **spec: Any) -> Object:
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "serviceName": "db",
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template,
            **spec,
        },
    }


def settled(replicas: int) -> Any:
    def check(obj: Object) -> bool:
        status = obj.get("status", {})
        counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas", "currentReplicas")]
        seen = status.get("observedGeneration") == obj["metadata"]["generation"]
        return seen and counts == [replicas] * 4 and status["currentRevision"] == status["updateRevision"]

    return check


async def test_pods_are_started_in_order_with_an_identity(world: World) -> None:
    await world.api.create(SETS, stateful_set(), "default")
    await world.until(SETS, "db", settled(3))
    assert await world.messages("StatefulSet") == [
        f"SuccessfulCreate: create Pod db-{number} in StatefulSet db successful" for number in range(3)
    ]
    pod = await world.api.get("pods", "db-1", "default")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    labels = pod["metadata"]["labels"]
    assert labels["apps.kubernetes.io/pod-index"] == "1"
    assert labels["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert labels["controller-revision-hash"].startswith("db-")


async def test_a_pod_that_is_not_ready_holds_up_the_next(world: World) -> None:
    await world.api.create(SETS, stateful_set("broken"), "default")
    await world.until("pods", "db-0", lambda pod: pod["status"].get("podIP"))
    await world.settle()
    assert len((await world.api.list("pods", "default")).items) == 1


async def test_parallel_does_not_wait(world: World) -> None:
    await world.api.create(SETS, stateful_set("broken", podManagementPolicy="Parallel"), "default")
    await world.until_all("pods", lambda pods: len(pods) == 3)


async def test_scaling_down_from_the_last(world: World) -> None:
    await world.api.create(SETS, stateful_set(), "default")
    await world.until(SETS, "db", settled(3))
    await world.api.patch(SETS, "db", {"spec": {"replicas": 1}}, "default")
    await world.until(SETS, "db", settled(1))
    assert (await world.messages("StatefulSet"))[3:] == [
        f"SuccessfulDelete: delete Pod db-{number} in StatefulSet db successful" for number in (2, 1)
    ]


async def test_an_update_goes_from_the_last_to_the_first(world: World) -> None:
    await world.api.create(SETS, stateful_set(), "default")
    await world.until(SETS, "db", settled(3))
    template = {"spec": {"containers": [{"name": "app", "image": "two"}]}}
    await world.api.patch(SETS, "db", {"spec": {"template": template}}, "default", type="strategic")
    await world.until_all("pods", lambda pods: [pod["spec"]["containers"][0]["image"] for pod in pods] == ["two"] * 3)
    await world.until(SETS, "db", settled(3))
    deleted = [message for message in await world.messages("StatefulSet") if message.startswith("SuccessfulDelete")]
    assert [message.split()[3] for message in deleted] == ["db-2", "db-1", "db-0"]


async def test_a_partition_keeps_the_lower_pods(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.api.create(SETS, stateful_set(updateStrategy=rolling), "default")
    await world.until(SETS, "db", settled(3))
    template = {"spec": {"containers": [{"name": "app", "image": "two"}]}}
    await world.api.patch(SETS, "db", {"spec": {"template": template}}, "default", type="strategic")
    await world.until(SETS, "db", lambda obj: obj["status"].get("updatedReplicas") == 1)
    before = (await world.api.get("pods", "db-0", "default"))["metadata"]["uid"]
    await world.api.delete("pods", "db-0", "default")
    await world.until("pods", "db-0", lambda pod: pod["metadata"]["uid"] != before)
    await world.settle()
    await world.until(SETS, "db", lambda obj: obj["status"].get("readyReplicas") == 3)
    await world.settle()
    pods = (await world.api.list("pods", "default")).items
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in pods}
    assert images == {"db-0": "one", "db-1": "one", "db-2": "two"}


async def test_claims_are_made_for_each_pod(world: World) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    await world.api.create(SETS, stateful_set(replicas=1, volumeClaimTemplates=[claim]), "default")
    pod = await world.until("pods", "db-0", lambda _: True)
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in pod["spec"]["volumes"]
    assert await world.api.get("persistentvolumeclaims", "data-db-0", "default")


async def test_a_zero_too_many_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statefulsets, "BURST", 25)
    await world.api.create(SETS, stateful_set(replicas=1_000_000, podManagementPolicy="Parallel"), "default")
    counts = [0]
    while counts[-1] < 60:
        await asyncio.sleep(0)
        counts.append(len(world.api.store.list("pods")))
    await world.api.patch(SETS, "db", {"spec": {"replicas": 0}}, "default")
    await world.until_all("pods", lambda pods: not pods)

    assert max(later - earlier for earlier, later in pairwise(counts)) <= 2
