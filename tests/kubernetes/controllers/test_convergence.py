"""Whatever is done to a deployment, in whatever order, the cluster ends up as its spec says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"
SLICES = "endpointslices.discovery.k8s.io"
STEPS = 40


async def disturb(world: World, chance: random.Random) -> None:
    """One thing that a learner, or bad luck, might do."""
    pods = (await world.api.list("pods", "default")).items
    sets = (await world.api.list(SETS, "default")).items
    what = chance.randrange(7)
    image = chance.choice(["one", "two", "three", "broken"])
    if what == 0:
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": chance.randrange(6)}}, "default")
    elif what == 1:
        template = {"spec": {"containers": [{"name": "app", "image": image}]}}
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"template": template}}, "default", type="strategic")
    elif what == 2 and pods:
        await world.api.delete("pods", chance.choice(pods)["metadata"]["name"], "default")
    elif what == 3 and pods:
        stolen = {"metadata": {"labels": {"app": chance.choice(["web", "other"])}}}
        await world.api.patch("pods", chance.choice(pods)["metadata"]["name"], stolen, "default")
    elif what == 4 and sets:
        await world.api.delete(SETS, chance.choice(sets)["metadata"]["name"], "default")
    elif what == 5:
        await world.api.patch(DEPLOYMENTS, "web", {"spec": {"paused": chance.random() < 0.3}}, "default")
    elif what == 6:
        world.kubelet.stubborn = chance.random() < 0.3
        if not world.kubelet.stubborn:
            await world.kubelet.release()


@pytest.mark.parametrize("seed", range(12))
async def test_random_disturbances(world: World, deployment: Callable[..., Object], seed: int) -> None:
    chance = random.Random(seed)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    await world.api.create("services", service, "default")
    strategy = {"type": chance.choice(["RollingUpdate", "Recreate"])}
    await world.api.create(DEPLOYMENTS, deployment(strategy=strategy), "default")
    for _ in range(STEPS):
        try:
            await disturb(world, chance)
        except StatusError as error:
            if error.code not in (404, 409):  # what is gone or changing cannot be disturbed
                raise
        for _ in range(chance.randrange(20)):
            await asyncio.sleep(0)
    await restore(world)
    await world.settle()
    await check(world)


async def restore(world: World) -> None:
    """Make a rollout possible again, and let it end."""
    template = {"spec": {"containers": [{"name": "app", "image": "final"}]}}
    spec = {"replicas": 3, "paused": None, "template": template}
    await world.api.patch(DEPLOYMENTS, "web", {"spec": spec}, "default", type="strategic")
    await world.kubelet.release()

    def done(obj: Object) -> bool:
        status = obj["status"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        return status["observedGeneration"] == obj["metadata"]["generation"] and counts == [3, 3, 3]

    await world.until(DEPLOYMENTS, "web", done)
    for pod in (await world.api.list("pods", "default")).items:
        if "ownerReferences" not in pod["metadata"]:  # stolen, or left behind by a replica set that is no more
            await world.api.delete("pods", pod["metadata"]["name"], "default")
    await world.until_all("pods", lambda pods: len(pods) == 3)


async def check(world: World) -> None:
    deployment = await world.api.get(DEPLOYMENTS, "web", "default")
    pods = (await world.api.list("pods", "default")).items
    sets = (await world.api.list(SETS, "default")).items
    newest = max(sets, key=lambda one: int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"final"}
    assert {pod["metadata"]["ownerReferences"][0]["uid"] for pod in pods} == {newest["metadata"]["uid"]}
    assert sum(one["spec"]["replicas"] for one in sets) == 3
    assert len(sets) <= 11
    revision = "deployment.kubernetes.io/revision"
    assert deployment["metadata"]["annotations"][revision] == newest["metadata"]["annotations"][revision]
    reasons = {one["type"]: one["reason"] for one in deployment["status"]["conditions"]}
    assert reasons == {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}
    slices = (await world.api.list(SLICES, "default", labels="kubernetes.io/service-name=web")).items
    web = [one for one in slices if one["metadata"]["name"] != "kubernetes"]
    found = {endpoint["addresses"][0] for one in web for endpoint in one["endpoints"] or ()}
    assert found == {pod["status"]["podIP"] for pod in pods}
    classic = (await world.api.get("endpoints", "web", "default"))["subsets"]
    assert {address["ip"] for subset in classic for address in subset["addresses"]} == found
