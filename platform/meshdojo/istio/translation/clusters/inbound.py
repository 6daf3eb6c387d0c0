"""Clusters from a sidecar to its application: ``inbound|PORT||``, at the pod's private address."""

from __future__ import annotations

from typing import Any

from meshdojo import network
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import (
    BindConfig,
    Cluster,
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
    SocketAddress,
)
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.translation import build
from meshdojo.istio.translation.clusters.policy import Policy, apply, effective
from meshdojo.istio.translation.inbound import Inbound
from meshdojo.istio.translation.scope import Scope

# The application sees its own sidecar under this address, as in a pod with iptables rules.
SIDECAR_ADDRESS = "127.0.0.6"


def name(inbound: Inbound) -> ClusterName:
    """How the cluster of a pod's own port is called: ``inbound|PORT||``."""
    return ClusterName(inbound.number, direction="inbound")


def cluster(scope: Scope, proxy: Proxy, inbound: Inbound) -> Any:
    """Of the DestinationRule of the port's service only the connection pool counts here."""
    own = str(name(inbound))
    endpoint = Endpoint(address=build.address(proxy.twin, network.mapped_port(inbound.number)))
    found = Cluster(
        name=own,
        alt_stat_name=f"{own};",
        type=Cluster.STATIC,
        load_assignment=ClusterLoadAssignment(
            cluster_name=own, endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=endpoint)])]
        ),
        upstream_bind_config=BindConfig(source_address=SocketAddress(address=SIDECAR_ADDRESS, port_value=0)),
    )
    policy = Policy()
    if inbound.service is not None and inbound.port is not None:
        rule = scope.rule(inbound.service.host)
        policy = Policy(connection_pool=effective(rule, inbound.port.number).connection_pool)
        service = inbound.service
        entry = {"host": service.host, "name": service.name, "namespace": service.namespace}
        found.metadata.CopyFrom(build.metadata(istio={"services": [entry]}))
    apply(found, policy, inbound.protocol, scope.mesh.connect_timeout)
    return found
