"""The inbound listeners of a sidecar: a real one for each port of the application, on the pod's address.

Each tells mutual TLS (the client offers an ALPN of the mesh's), plain text and other TLS apart. Which of them are
taken is decided by PeerAuthentication; the forms are those of Istio's virtualInbound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from meshdojo import network
from meshdojo.istio.mesh import MeshConfig
from meshdojo.istio.messages import (
    FilterChain,
    FilterChainMatch,
    Listener,
    RetryPolicy,
    Route,
    RouteConfiguration,
    VirtualHost,
)
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.service import Protocol
from meshdojo.istio.translation import authorization, build, tls
from meshdojo.istio.translation.authorization import NO_POLICIES, Policies
from meshdojo.istio.translation.clusters import inbound as clusters
from meshdojo.istio.translation.inbound import Inbound
from meshdojo.istio.translation.listeners import filters
from meshdojo.istio.translation.listeners.access_log import listener_access_logs
from meshdojo.istio.translation.routes.matching import route_match

HTTP_ALPN = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
TCP_ALPN = ("istio-peer-exchange", "istio")


@dataclass(frozen=True)
class Chain:
    """One kind of connection: what it looks like, whether its TLS is terminated, and whether it is HTTP."""

    transport: str
    application: tuple[str, ...]
    mutual: bool
    http: bool


# Source: the filter chains that istio/pilot/pkg/networking/core/listener_inbound.go and authn/utils make.
_MUTUAL = {
    "http": (Chain(filters.TLS, tls.MESH_ALPN, True, True),),
    "tcp": (Chain(filters.TLS, tls.MESH_ALPN, True, False),),
    "auto": (Chain(filters.TLS, HTTP_ALPN, True, True), Chain(filters.TLS, TCP_ALPN, True, False)),
}
_PLAIN = {
    "http": (Chain(filters.RAW, (), False, True),),
    "tcp": (Chain(filters.RAW, (), False, False), Chain(filters.TLS, (), False, False)),
    "auto": (
        Chain(filters.RAW, filters.SNIFFED_HTTP, False, True),
        Chain(filters.RAW, (), False, False),
        Chain(filters.TLS, (), False, False),
    ),
}


def name(inbound: Inbound) -> str:
    """How the listener of a pod's own port is called."""
    return f"virtualInbound|{inbound.number}"


def listener(mesh: MeshConfig, proxy: Proxy, inbound: Inbound, policies: Policies = NO_POLICIES) -> Any:
    """The listener for one port of the application, and who may reach it."""
    found = Listener(
        name=name(inbound),
        address=build.address(proxy.ip, network.mapped_port(inbound.number)),
        traffic_direction="INBOUND",
        filter_chains=[_filter_chain(mesh, inbound, chain, policies) for chain in chains(inbound)],
        access_log=listener_access_logs(mesh),
        continue_on_listener_filters_timeout=True,
    )
    if inbound.mode != "DISABLE" or not inbound.protocol.is_http:
        found.listener_filters.append(filters.tls_inspector())
    if inbound.protocol is Protocol.AUTO:
        found.listener_filters.append(filters.http_inspector())
    found.listener_filters_timeout.CopyFrom(build.duration(build.NEVER))
    return found


def chains(inbound: Inbound) -> Iterator[Chain]:
    """The kinds of connections that a port takes."""
    kind = "http" if inbound.protocol.is_http else "auto" if inbound.protocol is Protocol.AUTO else "tcp"
    if inbound.mode != "DISABLE":
        yield from _MUTUAL[kind]
    if inbound.mode == "DISABLE" and kind == "http":
        yield Chain("", (), False, True)
    elif inbound.mode != "STRICT":
        yield from _PLAIN[kind]


def _filter_chain(mesh: MeshConfig, inbound: Inbound, chain: Chain, policies: Policies) -> Any:
    match = FilterChainMatch(transport_protocol=chain.transport, application_protocols=chain.application)
    found = FilterChain(name=f"0.0.0.0_{inbound.number}", filter_chain_match=match)
    if chain.mutual:
        found.transport_socket.CopyFrom(tls.mesh_server(mesh.trust_domain))
    if chain.http:
        prefix = f"inbound_0.0.0.0_{inbound.number}"
        manager = filters.Manager(prefix, _routes(inbound), inbound=True, authorization=policies)
        found.filters.append(filters.http_connection_manager(mesh, manager))
    else:
        found.filters.extend(authorization.network_filters(policies))
        found.filters.append(filters.tcp_proxy(mesh, str(clusters.name(inbound))))
    return found


def _routes(inbound: Inbound) -> Any:
    """Everything to the application. Retries only repeat what an old pooled connection lost."""
    name = str(clusters.name(inbound))
    route = Route(match=route_match(None), name="default")
    route.route.cluster = name
    route.route.timeout.CopyFrom(build.duration(build.NEVER))
    route.route.max_stream_duration.max_stream_duration.CopyFrom(build.duration(build.NEVER))
    route.route.max_stream_duration.grpc_timeout_header_max.CopyFrom(build.duration(build.NEVER))
    route.route.retry_policy.CopyFrom(RetryPolicy(retry_on="reset-before-request", num_retries=build.uint32(2)))
    if inbound.service is not None and inbound.port is not None:
        route.decorator.operation = f"{inbound.service.host}:{inbound.port.number}/*"
    else:
        route.decorator.operation = f":{inbound.number}/*"
    host = VirtualHost(name=f"inbound|http|{inbound.number}", domains=["*"], routes=[route])
    found = RouteConfiguration(name=name, virtual_hosts=[host])
    found.validate_clusters.value = False
    return found
