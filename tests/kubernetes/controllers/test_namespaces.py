"""Deleting a namespace, and what every namespace has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def make(world: World, name: str = "fleet") -> None:
    await world.api.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    await world.until("serviceaccounts", "default", lambda _: True, name)


async def test_a_deleted_namespace_takes_everything_with_it(world: World, deployment: Any, things: Object) -> None:
    await make(world)
    await world.api.create("customresourcedefinitions.apiextensions.k8s.io", things)
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    await world.api.create("things.example.com", thing, "fleet")
    web = deployment()
    web["metadata"]["namespace"] = "fleet"
    await world.api.create("deployments.apps", web, "fleet")
    await world.until_all("pods", lambda pods: len(pods) == 2, "fleet")
    await world.api.delete("namespaces", "fleet")
    await world.gone("namespaces", "fleet", None)
    for resource in ("pods", "deployments.apps", "replicasets.apps", "things.example.com", "configmaps", "events"):
        assert (await world.api.list(resource, "fleet")).items == [], resource


async def test_what_holds_a_namespace_is_said(world: World) -> None:
    await make(world)
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await world.api.create("configmaps", held, "fleet")
    await world.api.delete("namespaces", "fleet")
    found = await world.until("namespaces", "fleet", lambda obj: obj["status"].get("conditions"), None)
    words = {one["type"]: (one["status"], one["reason"], one["message"]) for one in found["status"]["conditions"]}
    # As Kubernetes 1.34.4 says it.
    assert words == {
        "NamespaceDeletionDiscoveryFailure": (
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": (
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 1 resource instances",
        ),
        "NamespaceFinalizersRemaining": (
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ),
    }
    await world.api.patch("configmaps", "held", {"metadata": {"finalizers": None}}, "fleet")
    await world.gone("namespaces", "fleet", None)


async def test_pods_stop_before_their_namespace_goes(world: World, deployment: Any) -> None:
    await make(world)
    web = deployment()
    web["metadata"]["namespace"] = "fleet"
    await world.api.create("deployments.apps", web, "fleet")
    await world.until_all(
        "pods", lambda pods: len(pods) == 2 and all(pod["status"].get("podIP") for pod in pods), "fleet"
    )
    world.kubelet.stubborn = True
    await world.api.delete("namespaces", "fleet")
    found = await world.until("namespaces", "fleet", lambda obj: obj["status"].get("conditions"), None)
    remaining = next(one for one in found["status"]["conditions"] if one["type"] == "NamespaceContentRemaining")
    assert remaining["message"].endswith("pods. has 2 resource instances")
    await world.kubelet.release()
    await world.gone("namespaces", "fleet", None)


@pytest.mark.parametrize(("resource", "name"), [("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")])
async def test_what_every_namespace_has_comes_back(world: World, resource: str, name: str) -> None:
    await make(world)
    before = await world.until(resource, name, lambda _: True, "fleet")
    await world.api.delete(resource, name, "fleet")
    again = await world.until(resource, name, lambda obj: obj["metadata"]["uid"] != before["metadata"]["uid"], "fleet")
    assert again.get("data") == before.get("data")


async def test_the_ca_cannot_be_changed(world: World) -> None:
    await world.until("configmaps", "kube-root-ca.crt", lambda _: True)
    changed = await world.api.patch("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "mine"}}, "default")
    assert changed["data"] == {"ca.crt": "mine"}
    await world.until("configmaps", "kube-root-ca.crt", lambda obj: obj["data"]["ca.crt"].startswith("-----BEGIN"))
