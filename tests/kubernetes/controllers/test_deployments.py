"""Rollouts, as ``kubectl rollout`` sees them. Words and orders recorded on Kubernetes 1.34.4."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
Build = Callable[..., Object]
DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"


def condition(obj: Object, type: str) -> Object:
    conditions = obj.get("status", {}).get("conditions", [])
    found: Object = next((one for one in conditions if one["type"] == type), {})
    return found


def rolled_out(obj: Object) -> bool:
    """What ``kubectl rollout status`` waits for."""
    status, replicas = obj.get("status", {}), obj["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return status.get("observedGeneration", 0) >= obj["metadata"]["generation"] and counts == [replicas] * 3


async def roll(world: World, image: str) -> Object:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
    await world.api.patch(DEPLOYMENTS, "web", patch, "default", type="strategic")
    return await world.until(DEPLOYMENTS, "web", rolled_out)


async def test_a_new_deployment_becomes_available(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    await world.settle()
    found = await world.api.get(DEPLOYMENTS, "web", "default")
    (replica_set,) = (await world.api.list(SETS, "default")).items
    name = replica_set["metadata"]["name"]
    assert found["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert found["metadata"]["generation"] == 1
    assert found["status"]["readyReplicas"] == 2
    assert "unavailableReplicas" not in found["status"]
    available, progressing = condition(found, "Available"), condition(found, "Progressing")
    assert (available["status"], available["reason"]) == ("True", "MinimumReplicasAvailable")
    assert available["message"] == "Deployment has minimum availability."
    assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
    assert progressing["message"] == f'ReplicaSet "{name}" has successfully progressed.'
    assert await world.messages("Deployment") == [f"ScalingReplicaSet: Scaled up replica set {name} from 0 to 2"]


async def test_the_replica_set_says_whose_it_is(world: World, deployment: Build) -> None:
    made = await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    (replica_set,) = (await world.api.list(SETS, "default")).items
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{digest}"
    assert set(digest) <= set("456789bcdf")
    assert replica_set["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": digest}}
    assert replica_set["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "2",
        "deployment.kubernetes.io/max-replicas": "3",
        "deployment.kubernetes.io/revision": "1",
    }
    assert replica_set["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


async def test_an_unavailable_deployment_says_so(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment("broken"), "default")
    await world.until(DEPLOYMENTS, "web", lambda obj: obj.get("status", {}).get("updatedReplicas") == 2)
    await world.settle()
    found = await world.api.get(DEPLOYMENTS, "web", "default")
    assert found["status"]["unavailableReplicas"] == 2
    assert condition(found, "Available")["status"] == "False"
    assert condition(found, "Available")["message"] == "Deployment does not have minimum availability."
    assert condition(found, "Progressing")["reason"] == "ReplicaSetUpdated"


async def test_a_rolling_update_goes_up_one_and_down_one(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    old = (await world.api.list(SETS, "default")).items[0]["metadata"]["name"]
    await roll(world, "two")
    (new,) = [one["metadata"]["name"] for one in (await world.api.list(SETS)).items if one["metadata"]["name"] != old]
    assert (await world.messages("Deployment"))[1:] == [
        f"ScalingReplicaSet: Scaled up replica set {new} from 0 to 1",
        f"ScalingReplicaSet: Scaled down replica set {old} from 2 to 1",
        f"ScalingReplicaSet: Scaled up replica set {new} from 1 to 2",
        f"ScalingReplicaSet: Scaled down replica set {old} from 1 to 0",
    ]


async def test_undo_reuses_the_old_replica_set_under_a_new_number(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    await roll(world, "two")
    found = await roll(world, "one")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    numbers = sorted(
        (one["metadata"]["annotations"]["deployment.kubernetes.io/revision"], one["spec"]["replicas"])
        for one in (await world.api.list(SETS, "default")).items
    )
    assert numbers == [("2", 0), ("3", 2)]
    (reused,) = [one for one in (await world.api.list(SETS, "default")).items if one["spec"]["replicas"]]
    assert reused["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_a_broken_update_leaves_the_old_pods_serving(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(replicas=4), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "broken"}]}}}}
    await world.api.patch(DEPLOYMENTS, "web", patch, "default", type="strategic")
    await world.until(DEPLOYMENTS, "web", lambda obj: obj["status"].get("updatedReplicas") == 2)
    await world.settle()
    found = await world.api.get(DEPLOYMENTS, "web", "default")
    # maxUnavailable and maxSurge are 25 %: one old pod may go, one more than wanted may exist.
    assert found["status"]["availableReplicas"] == 3
    assert found["status"]["replicas"] == 5
    assert condition(found, "Available")["status"] == "True"


async def test_a_rollout_over_its_deadline(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment("broken", progressDeadlineSeconds=1), "default")
    found = await world.until(DEPLOYMENTS, "web", lambda obj: condition(obj, "Progressing").get("status") == "False")
    progressing = condition(found, "Progressing")
    assert progressing["reason"] == "ProgressDeadlineExceeded"
    assert progressing["message"].endswith(" has timed out progressing.")


async def test_recreate_waits_for_the_old_pods_to_be_gone(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(strategy={"type": "Recreate"}), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    world.kubelet.stubborn = True
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "two"}]}}}}
    await world.api.patch(DEPLOYMENTS, "web", patch, "default", type="strategic")
    await world.until_all("pods", lambda pods: all(one["metadata"].get("deletionTimestamp") for one in pods))
    await world.settle()
    assert len((await world.api.list(SETS, "default")).items) == 1
    await world.kubelet.release()
    await world.until(DEPLOYMENTS, "web", rolled_out)
    pods = (await world.api.list("pods", "default")).items
    assert [one["spec"]["containers"][0]["image"] for one in pods] == ["two", "two"]


async def test_scaling_is_no_new_revision(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    await world.settle()
    (replica_set,) = (await world.api.list(SETS, "default")).items
    annotations = replica_set["metadata"]["annotations"]
    assert replica_set["spec"]["replicas"] == 5
    assert annotations["deployment.kubernetes.io/desired-replicas"] == "5"
    assert annotations["deployment.kubernetes.io/max-replicas"] == "7"
    assert annotations["deployment.kubernetes.io/revision"] == "1"
    name = replica_set["metadata"]["name"]
    assert (await world.messages("Deployment"))[-1] == f"ScalingReplicaSet: Scaled up replica set {name} from 2 to 5"


async def test_scaling_to_zero_and_back(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    for replicas in (0, 3):
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, "default")
        await world.until(DEPLOYMENTS, "web", rolled_out)
        await world.until_all("pods", lambda pods, wanted=replicas: len(pods) == wanted)  # type: ignore[misc]


async def test_a_paused_deployment_does_not_roll(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    await world.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}}, "default")
    paused = await world.until(
        DEPLOYMENTS, "web", lambda obj: condition(obj, "Progressing").get("reason") == "DeploymentPaused"
    )
    assert condition(paused, "Progressing")["status"] == "Unknown"
    assert condition(paused, "Progressing")["message"] == "Deployment is paused"
    patch: Any = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "two"}]}}}}
    await world.api.patch(DEPLOYMENTS, "web", patch, "default", type="strategic")
    await world.until(
        DEPLOYMENTS, "web", lambda obj: obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
    )
    assert len((await world.api.list(SETS, "default")).items) == 1
    await world.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": None}}, "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    assert len((await world.api.list(SETS, "default")).items) == 2


async def test_history_keeps_no_more_than_its_limit(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(revisionHistoryLimit=1), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    for image in ("two", "three", "four"):
        await roll(world, image)
    sets = await world.until_all(SETS, lambda sets: len(sets) == 2)
    numbers = sorted(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for one in sets)
    assert numbers == ["3", "4"]


async def test_orphaned_replica_sets_are_adopted_by_template(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    pods = {one["metadata"]["name"] for one in (await world.api.list("pods", "default")).items}
    await world.api.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
    await world.gone(DEPLOYMENTS, "web")
    await world.settle()
    (orphan,) = (await world.api.list(SETS, "default")).items
    assert "ownerReferences" not in orphan["metadata"]
    again = await world.api.create(DEPLOYMENTS, deployment(), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    (adopted,) = (await world.api.list(SETS, "default")).items
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]
    assert {one["metadata"]["name"] for one in (await world.api.list("pods", "default")).items} == pods
    progressing = condition(await world.api.get(DEPLOYMENTS, "web", "default"), "Progressing")
    assert progressing["status"] == "True"


async def test_scaling_in_the_middle_of_a_rollout_is_shared_in_proportion(world: World, deployment: Build) -> None:
    await world.api.create(DEPLOYMENTS, deployment(replicas=4), "default")
    await world.until(DEPLOYMENTS, "web", rolled_out)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "broken"}]}}}}
    await world.api.patch(DEPLOYMENTS, "web", patch, "default", type="strategic")
    await world.until(DEPLOYMENTS, "web", lambda obj: obj["status"].get("updatedReplicas") == 2)
    await world.settle()
    await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 8}}, "default")
    await world.until(DEPLOYMENTS, "web", lambda obj: obj["status"].get("replicas") == 10)
    await world.settle()
    sizes = sorted(one["spec"]["replicas"] for one in (await world.api.list(SETS, "default")).items)
    assert sum(sizes) == 10  # 8 and the surge of 2
    assert sizes == [4, 6]
