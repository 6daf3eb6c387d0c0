"""The order and content of answers, seen from a proxy that speaks the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from meshdojo.istio.ads import Server, Stream
from meshdojo.istio.messages import ClusterLoadAssignment, DeltaDiscoveryRequest, RouteConfiguration
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.resource import EDS, RDS, Resource

PROXY = Proxy("sidecar", "127.64.1.1", "web", "shop")


class Fixed:
    """A configuration of one resource of each type."""

    version = 7

    def __init__(self) -> None:
        endpoints = Resource.encode("outbound|80||web", ClusterLoadAssignment(cluster_name="outbound|80||web"))
        routes = Resource.encode("80", RouteConfiguration(name="80"))
        self.content = {EDS: {endpoints.name: endpoints}, RDS: {routes.name: routes}}

    def resources(self, proxy: Proxy, type_url: str, names: Collection[str] | None) -> Mapping[str, Resource]:
        found = self.content.get(type_url, {})
        return {name: one for name, one in found.items() if names is None or name in names}


class Context:
    """The sending half of a gRPC stream."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def write(self, response: Any) -> None:
        self.sent.append(response)


def reconnected(type_url: str) -> list[str]:
    """The names sent to a proxy that comes back with everything in its present version."""
    configuration, context = Fixed(), Context()
    present = {name: one.version for name, one in configuration.content[type_url].items()}
    request = DeltaDiscoveryRequest(
        type_url=type_url, resource_names_subscribe=[*present], initial_resource_versions=present
    )
    asyncio.run(Stream(Server(configuration), context, PROXY, 1).answer(request))
    return [one.name for response in context.sent for one in response.resources]


def test_a_proxy_that_reconnects_is_not_sent_what_it_has() -> None:
    assert reconnected(RDS) == []


def test_but_its_endpoints_for_clusters_that_were_warming() -> None:
    """Envoy pauses cluster discovery while a cluster warms, and that one waits for an answer with its endpoints."""
    assert reconnected(EDS) == ["outbound|80||web"]
