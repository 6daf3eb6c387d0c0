"""The listeners of a gateway: one per port that some Gateway object serves on its pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshdojo import network
from meshdojo.istio.messages import FilterChain, FilterChainMatch, Listener
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.translation import authorization, build, tls
from meshdojo.istio.translation.authorization import NO_POLICIES, Policies
from meshdojo.istio.translation.gateways import GatewayServer, bound
from meshdojo.istio.translation.listeners import filters
from meshdojo.istio.translation.listeners.access_log import listener_access_logs
from meshdojo.istio.translation.listeners.sidecar_outbound import tcp_cluster
from meshdojo.istio.translation.scope import Scope


def name(port: int) -> str:
    """How a gateway's listener is called. Source: istioctl proxy-config listener on a real one."""
    return f"0.0.0.0_{port}"


def listener(
    scope: Scope, proxy: Proxy, port: int, servers: list[GatewayServer], policies: Policies = NO_POLICIES
) -> Any:
    """The listener of a port; None when nothing on it leads anywhere (TCP and TLS servers without routes)."""
    chains = list(_unique(_chains(scope, port, servers, policies)))
    if not chains:
        return None
    found = Listener(
        name=name(port),
        address=build.address(proxy.ip, network.mapped_port(port)),
        traffic_direction="OUTBOUND",
        filter_chains=chains,
        access_log=listener_access_logs(scope.mesh),
    )
    if any(one.encrypted for one in servers):
        found.listener_filters.append(filters.tls_inspector())
    return found


def _unique(chains: Iterator[Any]) -> Iterator[Any]:
    """Two servers with one name: the older one keeps it."""
    taken: set[str] = set()
    for chain in chains:
        names = list(chain.filter_chain_match.server_names) or ["*"]
        left = [one for one in names if one not in taken]
        taken.update(left)
        if left and left != names:
            del chain.filter_chain_match.server_names[:]
            chain.filter_chain_match.server_names.extend(left)
        if left:
            yield chain


def _chains(scope: Scope, port: int, servers: list[GatewayServer], policies: Policies) -> Iterator[Any]:
    plain = [one for one in servers if not one.encrypted]
    if any(one.is_http for one in plain):
        yield _http_chain(scope, port, plain[0], policies)
    for one in servers:
        if one.encrypted and one.is_http:
            yield _http_chain(scope, port, one, policies)
        elif one.encrypted:
            yield from _guarded(_tls_chains(scope, one), policies)
        elif not one.is_http:
            yield from _guarded(_tcp_chains(scope, one), policies)


def _guarded(chains: Iterator[Any], policies: Policies) -> Iterator[Any]:
    """The chains of plain TCP, each with the policies before its proxy."""
    guards = authorization.network_filters(policies)
    for chain in chains:
        kept = list(chain.filters)
        del chain.filters[:]
        chain.filters.extend([*guards, *kept])
        yield chain


def _http_chain(scope: Scope, port: int, server: GatewayServer, policies: Policies) -> Any:
    prefix = f"outbound_{name(port)}"
    manager = filters.Manager(prefix, server.route_name, gateway=True, authorization=policies)
    found = FilterChain(filters=[filters.http_connection_manager(scope.mesh, manager)])
    if server.encrypted:
        found.filter_chain_match.CopyFrom(FilterChainMatch(server_names=server.names))
        _terminate(found, server)
    found.transport_socket_connect_timeout.CopyFrom(build.duration(filters.CONNECT_TIMEOUT))
    return found


def _terminate(chain: Any, server: GatewayServer) -> None:
    if server.server.tls is not None and server.terminates:
        chain.transport_socket.CopyFrom(tls.gateway_server(server.server.tls))


def _tls_chains(scope: Scope, server: GatewayServer) -> Iterator[Any]:
    """Passed through (or ended here and passed on as TCP), by the server names of the routes."""
    for _, config in bound(scope, server):
        if server.terminates:
            for route in config.object.spec.tcp:
                clusters = [(str(tcp_cluster(scope, config, one.destination, 0)), one.weight) for one in route.route]
                chain = _tcp_chain(scope, clusters, server.names)
                _terminate(chain, server)
                yield chain
        for tls_route in config.object.spec.tls:
            for match in tls_route.match:
                if match.port and match.port != server.server.port.number:
                    continue
                clusters = [
                    (str(tcp_cluster(scope, config, one.destination, server.server.port.number)), one.weight)
                    for one in tls_route.route
                ]
                yield _tcp_chain(scope, clusters, [one for one in match.sni_hosts if one != "*"])


def _tcp_chains(scope: Scope, server: GatewayServer) -> Iterator[Any]:
    number = server.server.port.number
    for _, config in bound(scope, server):
        for route in config.object.spec.tcp:
            if not route.match or any(not one.port or one.port == number for one in route.match):
                clusters = [
                    (str(tcp_cluster(scope, config, one.destination, number)), one.weight) for one in route.route
                ]
                yield _tcp_chain(scope, clusters, [])


def _tcp_chain(scope: Scope, clusters: list[tuple[str, int]], names: list[str]) -> Any:
    return FilterChain(
        filter_chain_match=FilterChainMatch(server_names=names),
        filters=[filters.weighted_tcp_proxy(scope.mesh, clusters)],
    )
