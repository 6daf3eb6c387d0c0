import copy
from typing import Any

import pytest

from meshdojo.checks import endpoints

SERVICE: dict[str, Any] = {"metadata": {"name": "web", "namespace": "fleet"}, "spec": {"selector": {"app": "web"}}}


def make_slice(*addresses: Any, ready: Any = True, ports: Any = ({"name": "http", "port": 8080},)) -> Any:
    return {
        "metadata": {"name": "web-x", "namespace": "fleet", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
        "ports": list(ports),
    }


def shards(*addresses: Any, health: Any = 1) -> Any:
    entry = [{"Addresses": [address], "HealthStatus": health} for address in addresses]
    return {"web.fleet.svc.cluster.local": {"fleet": {"Shards": {"Kubernetes/c": entry}}}}


def behind(pods: Any, slices: Any, known: Any) -> Any:
    return endpoints.behind([SERVICE], pods, slices, known)


def test_all_agree(pod: Any) -> None:
    pods = [pod("a", ip="1", app="web"), pod("b", ip="2", app="web"), pod("c", ip="3", app="other")]
    assert behind(pods, [make_slice("1"), make_slice("2")], shards("2", "1")) == []


@pytest.mark.parametrize(
    ("slices", "known"),
    [
        ([], {}),
        ([make_slice("1")], {}),
        ([make_slice("1", ready=False)], shards("1")),
        ([make_slice("1")], shards("1", health=2)),
        ([make_slice("1")], shards("1", "2")),
        ([make_slice("1", "2")], shards("1")),
    ],
)
def test_the_service_that_is_behind_is_named(pod: Any, slices: Any, known: Any) -> None:
    assert behind([pod("a", ip="1", app="web")], slices, known) == [("fleet", "web")]


def test_a_pod_that_is_going_is_waited_for(pod: Any) -> None:
    assert behind([], [make_slice("1")], shards("1")) == [("fleet", "web")]
    assert behind([], [], {}) == []


def test_an_endpoint_without_its_port_is_not_waited_for(pod: Any) -> None:
    pods = [pod("a", ip="1", app="web")]
    assert behind(pods, [make_slice("1", ports=())], {}) == []
    assert behind(pods, [make_slice("1", ports=[{"port": 53, "protocol": "UDP"}])], {}) == []


def test_services_without_a_selector_are_not_compared(pod: Any) -> None:
    without = copy.deepcopy(SERVICE)
    del without["spec"]["selector"]
    assert endpoints.behind([without], [], [make_slice("1")], {}) == []
