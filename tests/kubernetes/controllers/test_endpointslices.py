"""Endpoint slices and classic Endpoints of services."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
SLICES = "endpointslices.discovery.k8s.io"


def pod(name: str, image: str = "one", port: int = 8080, **spec: Any) -> Object:
    container = {"name": "app", "image": image, "ports": [{"name": "http", "containerPort": port}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [container], **spec},
    }


def service(**spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec},
    }


async def until_slices(world: World, predicate: Callable[[list[Object]], Any]) -> list[Object]:
    """Wait for the slices, but the API server's own, to satisfy `predicate`."""

    def own(slices: list[Object]) -> list[Object]:
        return [one for one in slices if one["metadata"]["name"] != "kubernetes"]

    return own(await world.until_all(SLICES, lambda slices: predicate(own(slices))))


def endpoints_of(slices: list[Object]) -> list[Object]:
    return [endpoint for one in slices for endpoint in one["endpoints"] or ()]


async def test_a_ready_pod_is_a_ready_endpoint(world: World) -> None:
    made = await world.api.create("services", service(), "default")
    running = await world.api.create("pods", pod("a"), "default")
    (found,) = await until_slices(world, lambda slices: any(map(is_ready, endpoints_of(slices))))
    address = (await world.api.get("pods", "a", "default"))["status"]["podIP"]
    assert found["endpoints"] == [
        {
            "addresses": [address],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "meshdojo",
            "targetRef": {
                "kind": "Pod",
                "namespace": "default",
                "name": "a",
                "uid": running["metadata"]["uid"],
            },
        }
    ]
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["addressType"] == "IPv4"
    assert found["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found["metadata"]["generateName"] == "web-"
    assert found["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]


def is_ready(endpoint: Object) -> bool:
    return bool(endpoint["conditions"]["ready"])


async def test_a_pod_that_is_not_ready(world: World) -> None:
    await world.api.create("services", service(), "default")
    await world.api.create("pods", pod("a", "broken"), "default")
    slices = await until_slices(world, endpoints_of)
    (endpoint,) = endpoints_of(slices)
    assert endpoint["conditions"] == {"ready": False, "serving": False, "terminating": False}
    await world.settle()
    (subset,) = (await world.api.get("endpoints", "web", "default"))["subsets"]
    assert "addresses" not in subset
    assert subset["notReadyAddresses"][0]["targetRef"]["name"] == "a"


async def test_not_ready_addresses_can_be_published(world: World) -> None:
    await world.api.create("services", service(clusterIP="None", publishNotReadyAddresses=True), "default")
    await world.api.create("pods", pod("a", "broken", hostname="a", subdomain="web"), "default")
    slices = await until_slices(world, endpoints_of)
    (endpoint,) = endpoints_of(slices)
    assert endpoint["conditions"] == {"ready": True, "serving": False, "terminating": False}
    assert endpoint["hostname"] == "a"
    assert slices[0]["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


async def test_a_stopping_pod_serves_but_is_not_ready(world: World) -> None:
    await world.api.create("services", service(), "default")
    await world.api.create("pods", pod("a"), "default")
    await until_slices(world, lambda slices: any(map(is_ready, endpoints_of(slices))))
    world.kubelet.stubborn = True
    await world.api.delete("pods", "a", "default")
    slices = await until_slices(world, lambda slices: not any(map(is_ready, endpoints_of(slices))))
    (endpoint,) = endpoints_of(slices)
    assert endpoint["conditions"] == {"ready": False, "serving": True, "terminating": True}
    await world.settle()
    assert not (await world.api.get("endpoints", "web", "default")).get("subsets")
    await world.kubelet.release()
    await until_slices(world, lambda slices: not endpoints_of(slices))


async def test_pods_whose_named_ports_differ_get_slices_of_their_own(world: World) -> None:
    await world.api.create("pods", pod("a", port=8080), "default")
    await world.api.create("pods", pod("b", port=9090), "default")
    await world.api.create("services", service(), "default")
    slices = await until_slices(world, lambda slices: len(endpoints_of(slices)) == 2)
    assert sorted(one["ports"][0]["port"] for one in slices) == [8080, 9090]
    await world.api.delete("pods", "b", "default")
    (left,) = await until_slices(world, lambda slices: len(slices) == 1)
    assert left["ports"][0]["port"] == 8080


async def test_a_service_without_pods_has_an_empty_slice(world: World) -> None:
    await world.api.create("services", service(), "default")
    (found,) = await until_slices(world, lambda slices: len(slices) == 1)
    assert not found["endpoints"]
    assert not found["ports"]


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName", "externalName": "example.com"}])
async def test_services_whose_endpoints_are_not_ours(world: World, spec: Object) -> None:
    await world.api.create("services", service(**spec), "default")
    await world.settle()
    await until_slices(world, lambda slices: not slices)
    assert (await world.api.list("endpoints", "default")).items == []


async def test_a_changed_selector_changes_the_endpoints(world: World) -> None:
    await world.api.create("services", service(), "default")
    await world.api.create("pods", pod("a"), "default")
    await until_slices(world, endpoints_of)
    await world.api.patch("services", "web", {"spec": {"selector": {"app": "other"}}}, "default")
    await until_slices(world, lambda slices: not endpoints_of(slices))
    await world.api.patch("pods", "a", {"metadata": {"labels": {"app": "other"}}}, "default")
    await until_slices(world, endpoints_of)


async def test_what_belongs_to_a_deleted_service_goes_with_it(world: World) -> None:
    await world.api.create("services", service(), "default")
    await until_slices(world, lambda slices: len(slices) == 1)
    await world.until_all("endpoints", lambda found: len(found) == 1)
    await world.api.delete("services", "web", "default")
    await until_slices(world, lambda slices: not slices)
    await world.until_all("endpoints", lambda found: not found)


async def test_a_deleted_slice_comes_back(world: World) -> None:
    await world.api.create("services", service(), "default")
    (found,) = await until_slices(world, lambda slices: len(slices) == 1)
    name = found["metadata"]["name"]
    await world.api.delete(SLICES, name, "default")
    await until_slices(world, lambda slices: [1 for one in slices if one["metadata"]["name"] != name])


async def test_more_endpoints_than_fit_in_one_slice(world: World) -> None:
    for number in range(101):
        await world.api.create("pods", pod(f"p{number}"), "default")
    await world.api.create("services", service(), "default")
    slices = await until_slices(world, lambda slices: len(endpoints_of(slices)) == 101)
    assert sorted(len(one["endpoints"]) for one in slices) == [1, 100]
