"""All analyzers, and what each looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meshdojo.istio.analysis import conflicts, references, webhooks, workloads
from meshdojo.istio.analysis.message import Message
from meshdojo.istio.analysis.world import World

Analyzer = Callable[[World], Iterator[Message]]

ANALYZERS: dict[str, tuple[Analyzer, str]] = {
    "destinationrule.Analyzer": (conflicts.destination_rules, "Checks hosts, subsets and TLS of destination rules"),
    "gateway.Analyzer": (references.gateways, "Checks a gateway's selector and referenced secrets"),
    "injection.Analyzer": (workloads.namespaces, "Checks conditions related to Istio sidecar injection"),
    "injection.PodAnalyzer": (workloads.pods, "Checks that pods of injected namespaces have a proxy"),
    "schema.ValidationAnalyzer": (conflicts.schema, "Runs schema validation as an analyzer on all defined resources"),
    "selector.Analyzer": (references.selectors, "Checks workload selectors and namespaces of policies"),
    "service.PortNameAnalyzer": (workloads.port_names, "Checks the port names associated with each service"),
    "virtualservice.ConflictingMeshGatewayHostsAnalyzer": (
        conflicts.mesh_hosts,
        "Checks if multiple virtual services associated with the mesh gateway have conflicting hosts",
    ),
    "virtualservice.DestinationAnalyzer": (
        references.virtual_services,
        "Checks the gateways and destinations of virtual services",
    ),
    "virtualservice.GatewayHostAnalyzer": (
        conflicts.gateway_hosts,
        "Checks that the hosts of virtual services are served by their gateways",
    ),
    "virtualservice.UnreachableAnalyzer": (
        conflicts.unreachable_routes,
        "Checks for routes of virtual services that no request can reach",
    ),
    "webhook.Analyzer": (webhooks.injectors, "Checks the validity of Istio webhooks"),
}


# What these look at are Kubernetes' own objects, of which the real one reads none from files alone.
_OF_A_CLUSTER = frozenset(
    {"injection.Analyzer", "injection.PodAnalyzer", "service.PortNameAnalyzer", "webhook.Analyzer"}
)


def analyze(world: World) -> list[Message]:
    """All findings, sorted."""
    wanted = [one for name, (one, _) in ANALYZERS.items() if world.complete or name not in _OF_A_CLUSTER]
    found = {message for analyzer in wanted for message in analyzer(world)}
    return sorted(found, key=lambda message: message.order)
