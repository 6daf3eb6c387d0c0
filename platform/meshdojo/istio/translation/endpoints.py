"""Endpoints (EDS) of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from meshdojo import network
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from meshdojo.istio.service import Endpoint as ServiceEndpoint
from meshdojo.istio.service import Service
from meshdojo.istio.snapshot import Endpoints, fits
from meshdojo.istio.translation import build
from meshdojo.istio.translation.scope import Rule

TLS_MATCH = "envoy__transport_socket_match"
# Whether mutual TLS is off for an endpoint's port (a PeerAuthentication of mode DISABLE).
Disabled = Callable[[ServiceEndpoint], bool]


def load_assignment(
    name: ClusterName, service: Service, rule: Rule | None, endpoints: Endpoints, disabled: Disabled
) -> Any:
    """The endpoints that serve the port, and have the subset's labels."""
    found = [_endpoint(one, port, disabled(one)) for one, port in serving(name, service, rule, endpoints)]
    assignment = ClusterLoadAssignment(cluster_name=str(name))
    if found:
        weight = sum(one.load_balancing_weight.value for one in found)
        assignment.endpoints.append(
            LocalityLbEndpoints(lb_endpoints=found, load_balancing_weight=build.uint32(weight), locality={})
        )
    return assignment


def serving(
    name: ClusterName, service: Service, rule: Rule | None, endpoints: Endpoints
) -> Iterator[tuple[ServiceEndpoint, int]]:
    """(endpoint, its port) of a cluster. A subset that no rule defines has none."""
    port = service.port(name.port)
    labels = _subset_labels(name.subset, rule)
    if port is None or labels is None:
        return
    for one in endpoints.items:
        number = one.ports.get(port.name)
        if number is not None and fits(labels, one.labels):
            yield one, number


def _subset_labels(subset: str, rule: Rule | None) -> dict[str, str] | None:
    if not subset:
        return {}
    return next((one.labels for one in rule.spec.subsets if one.name == subset), None) if rule else None


def _endpoint(one: ServiceEndpoint, port: int, disabled: bool) -> Any:
    number = network.mapped_port(port) if one.pod else port
    content: dict[str, dict[str, str]] = {"istio": {"workload": one.workload}}
    if one.tls and not disabled:
        content[TLS_MATCH] = {"tlsMode": "istio"}
    return LbEndpoint(
        endpoint=Endpoint(address=build.address(one.address, number)),
        metadata=build.metadata(**content),
        load_balancing_weight=build.uint32(one.weight),
    )
