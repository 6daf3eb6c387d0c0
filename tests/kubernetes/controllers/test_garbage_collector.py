"""The three ways to delete an owner, and owners that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


def config_map(name: str, *owners: Object, **metadata: Any) -> Object:
    body: Object = {"name": name, **metadata}
    if owners:
        body["ownerReferences"] = list(owners)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": body}


def owner(obj: Object, *, blocks: bool = False) -> Object:
    metadata = obj["metadata"]
    reference = {"apiVersion": "v1", "kind": obj["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {**reference, "blockOwnerDeletion": True} if blocks else reference


async def create(world: World, obj: Object) -> Object:
    return await world.api.create("configmaps", obj, "default")


async def test_background_deletes_what_was_owned_down_to_the_leaves(world: World) -> None:
    parent = await create(world, config_map("parent"))
    child = await create(world, config_map("child", owner(parent)))
    await create(world, config_map("grandchild", owner(child)))
    await create(world, config_map("stranger"))
    await world.api.delete("configmaps", "parent", "default", propagation="Background")
    for name in ("child", "grandchild"):
        await world.gone("configmaps", name)
    assert await world.api.get("configmaps", "stranger", "default")


async def test_orphans_lose_their_reference_before_the_owner_goes(world: World) -> None:
    parent = await create(world, config_map("parent"))
    await create(world, config_map("child", owner(parent)))
    await world.settle()
    await world.api.delete("configmaps", "parent", "default", propagation="Orphan")
    await world.gone("configmaps", "parent")
    await world.settle()
    child = await world.api.get("configmaps", "child", "default")
    assert "ownerReferences" not in child["metadata"]


async def test_foreground_waits_for_blocking_dependents(world: World) -> None:
    parent = await create(world, config_map("parent"))
    await create(world, config_map("child", owner(parent, blocks=True), finalizers=["example.com/hold"]))
    await world.settle()
    await world.api.delete("configmaps", "parent", "default", propagation="Foreground")
    await world.until("configmaps", "child", lambda obj: obj["metadata"].get("deletionTimestamp"))
    await world.settle()
    held = await world.api.get("configmaps", "parent", "default")
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    await world.api.patch("configmaps", "child", {"metadata": {"finalizers": None}}, "default")
    await world.gone("configmaps", "child")
    await world.gone("configmaps", "parent")


async def test_foreground_does_not_wait_for_others(world: World) -> None:
    parent = await create(world, config_map("parent"))
    await create(world, config_map("child", owner(parent), finalizers=["example.com/hold"]))
    await world.settle()
    await world.api.delete("configmaps", "parent", "default", propagation="Foreground")
    await world.gone("configmaps", "parent")
    await world.until("configmaps", "child", lambda obj: obj["metadata"].get("deletionTimestamp"))


async def test_an_object_with_another_owner_stays(world: World) -> None:
    one, two = await create(world, config_map("one")), await create(world, config_map("two"))
    await create(world, config_map("child", owner(one), owner(two)))
    await world.settle()
    await world.api.delete("configmaps", "one", "default", propagation="Background")
    found = await world.until("configmaps", "child", lambda obj: len(obj["metadata"]["ownerReferences"]) == 1)
    assert found["metadata"]["ownerReferences"][0]["name"] == "two"


async def test_an_owner_that_never_existed(world: World) -> None:
    invented = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "0" * 8}
    await create(world, config_map("child", invented))
    await world.gone("configmaps", "child")


async def test_an_owner_of_the_same_name_is_another(world: World) -> None:
    parent = await create(world, config_map("parent"))
    await create(world, config_map("child", {**owner(parent), "uid": "0" * 8}))
    await world.gone("configmaps", "child")
    assert await world.api.get("configmaps", "parent", "default")


async def test_an_owner_of_a_kind_nobody_knows_keeps_its_dependents(world: World) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": "0" * 8}
    await create(world, config_map("child", unknown))
    await world.settle()
    assert await world.api.get("configmaps", "child", "default")


async def test_custom_resources_own_and_are_owned(world: World, things: Object) -> None:
    await world.api.create("customresourcedefinitions.apiextensions.k8s.io", things)
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    made = await world.api.create("things.example.com", thing, "default")
    reference = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": made["metadata"]["uid"]}
    await create(world, config_map("child", reference))
    await world.settle()
    assert await world.api.get("configmaps", "child", "default")
    await world.api.delete("things.example.com", "x", "default")
    await world.gone("configmaps", "child")


async def test_deleting_a_deployment_deletes_its_pods(world: World, deployment: Any) -> None:
    await world.api.create("deployments.apps", deployment(), "default")
    await world.until_all("pods", lambda pods: len(pods) == 2)
    await world.api.delete("deployments.apps", "web", "default")
    await world.until_all("replicasets.apps", lambda sets: not sets)
    await world.until_all("pods", lambda pods: not pods)
