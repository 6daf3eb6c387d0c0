"""Clusters towards services: ``outbound|PORT|SUBSET|HOST``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import Cluster
from meshdojo.istio.service import Port, Service
from meshdojo.istio.snapshot import Endpoints
from meshdojo.istio.translation import build, tls
from meshdojo.istio.translation.clusters.policy import Policy, apply, effective
from meshdojo.istio.translation.endpoints import load_assignment
from meshdojo.istio.translation.scope import Rule, Scope

_DISCOVERY = {
    "endpoints": Cluster.EDS,
    "dns": Cluster.STRICT_DNS,
    "dns_round_robin": Cluster.LOGICAL_DNS,
    "passthrough": Cluster.ORIGINAL_DST,
}
TLS_MODE_MATCH = "tlsMode"
_DNS_REFRESH = timedelta(seconds=60)


def names(scope: Scope, service: Service) -> Iterator[tuple[Port, str]]:
    """(port, subset) of every cluster of a service; subset '' is the service itself."""
    rule = scope.rule(service.host)
    subsets = [subset.name for subset in rule.spec.subsets] if rule else []
    for port in service.ports:
        for subset in dict.fromkeys(["", *subsets]):
            yield port, subset


def uses_eds(service: Service, rule: Rule | None, port: int, subset: str) -> bool:
    """Whether the endpoints of a cluster come by EDS."""
    balancer = effective(rule, port, subset).load_balancer
    return service.resolution == "endpoints" and (balancer is None or balancer.simple != "PASSTHROUGH")


def cluster(scope: Scope, service: Service, port: Port, subset: str, endpoints: Endpoints) -> Any:
    """The cluster of a port, or of one subset of it."""
    name = ClusterName(port.number, service.host, subset)
    rule = scope.rule(service.host)
    policy = effective(rule, port.number, subset)
    found = Cluster(name=str(name), alt_stat_name=f"{name};", type=_DISCOVERY[service.resolution])
    if service.resolution == "endpoints":
        found.eds_cluster_config.eds_config.CopyFrom(build.ads())
        found.eds_cluster_config.service_name = str(name)
    elif service.resolution == "passthrough":
        found.lb_policy = Cluster.CLUSTER_PROVIDED
    else:
        _resolve_by_dns(found, service, name, rule, endpoints)
    # With the default of 50, half of the pods failing would bring the ejected ones back.
    found.common_lb_config.healthy_panic_threshold.value = 0
    apply(found, policy, port.protocol, scope.mesh.connect_timeout)
    _secure(found, scope, service, port, name, policy, endpoints)
    found.metadata.CopyFrom(_metadata(service, rule, subset))
    return found


def _resolve_by_dns(found: Any, service: Service, name: ClusterName, rule: Rule | None, endpoints: Endpoints) -> None:
    found.dns_refresh_rate.CopyFrom(build.duration(_DNS_REFRESH))
    found.dns_lookup_family = Cluster.V4_ONLY
    found.respect_dns_ttl = True
    found.load_assignment.CopyFrom(load_assignment(name, service, rule, endpoints, lambda _: False))


def _secure(
    found: Any, scope: Scope, service: Service, port: Port, name: ClusterName, policy: Policy, endpoints: Endpoints
) -> None:
    settings = policy.tls
    identities = service.subject_alt_names or endpoints.identities
    if settings is None:
        # Where no pod has a sidecar there is nothing to choose, and each TLS context costs every proxy memory.
        if scope.mesh.auto_mtls and service.resolution == "endpoints" and endpoints.identities:
            _automatic(found, tls.mesh_client(name, identities))
    elif settings.mode == "ISTIO_MUTUAL":
        found.transport_socket.CopyFrom(tls.mesh_client(name, identities, settings.sni))
    elif settings.mode != "DISABLE":
        found.transport_socket.CopyFrom(tls.client(settings, service.host, port.protocol.is_http2))


def _automatic(found: Any, mutual: Any) -> None:
    """Mutual TLS towards endpoints that have a sidecar (their metadata says so), plain text towards the others."""
    for name, match, socket in (
        ("tlsMode-istio", {TLS_MODE_MATCH: "istio"}, mutual),
        ("tlsMode-disabled", {}, tls.plain()),
    ):
        entry = found.transport_socket_matches.add(name=name, transport_socket=socket)
        entry.match.update(match)


def _metadata(service: Service, rule: Rule | None, subset: str) -> Any:
    content: dict[str, Any] = {
        "services": [{"host": service.host, "name": service.name, "namespace": service.namespace}]
    }
    if subset:
        content["subset"] = subset
    if service.external:
        content["external"] = True
    if rule is not None:
        _, namespace, name = rule.origins[0].split("/")
        content["config"] = f"/apis/networking.istio.io/v1/namespaces/{namespace}/destination-rule/{name}"
    return build.metadata(istio=content)
