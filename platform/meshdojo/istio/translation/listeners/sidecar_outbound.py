"""The outbound listener of a sidecar: one for all, ``twin:15001``.

Real Istio has a listener per service port, found by the connection's original destination, which iptables keeps. Here
a PROXY protocol header carries it, and the filter chains of one listener take the place of the listeners:

* ``0.0.0.0_8080``: a port on which some service declares HTTP. Every HTTP connection to this port, whatever its
  address, goes to route configuration ``8080``, as in Istio.
* ``10.0.0.1_9100``: a service's TCP port, by its address. ``10.0.0.1_9000`` twice, for HTTP and anything else, where
  the protocol is sniffed.
* Everything else is passed through to where it wanted to go, or closed (REGISTRY_ONLY).

`use_original_dst` must stay off: its listener filter would overwrite what the PROXY header restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import FilterChain, FilterChainMatch, Listener
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.virtual_service import RouteDestination, VirtualService
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.service import Port, Protocol, Service
from meshdojo.istio.translation import build
from meshdojo.istio.translation.clusters.fixed import BLACK_HOLE, PASSTHROUGH
from meshdojo.istio.translation.listeners import filters
from meshdojo.istio.translation.listeners.access_log import listener_access_logs
from meshdojo.istio.translation.scope import Scope

NAME, PORT = "virtualOutbound", 15001


@dataclass(frozen=True)
class Ports:
    """The service ports of a scope, by what has to be found out about connections to them."""

    http: frozenset[int]
    sniffed: frozenset[int]
    by_name: frozenset[int]  # chosen by server name (SNI)

    @classmethod
    def of(cls, scope: Scope) -> Ports:
        """The ports of all services that a proxy sees, by how they are served."""
        http: set[int] = set()
        sniffed: set[int] = set()
        tcp: set[int] = set()
        by_name: set[int] = set()
        for service, port in _service_ports(scope):
            if port.protocol.is_http:
                http.add(port.number)
            elif port.protocol is Protocol.AUTO:
                sniffed.add(port.number)
            else:
                tcp.add(port.number)
            if _by_server_name(scope, service, port):
                by_name.add(port.number)
        # Where plain TCP shares the port, waiting for HTTP would hang protocols in which the server speaks first.
        return cls(frozenset(http), frozenset((http - tcp) | sniffed), frozenset(by_name))


def listener(scope: Scope, proxy: Proxy) -> Any:
    """The one outbound listener."""
    ports = Ports.of(scope)
    found = Listener(
        name=NAME,
        address=build.address(proxy.twin, PORT),
        traffic_direction="OUTBOUND",
        listener_filters=[filters.proxy_protocol()],
        filter_chains=_unique(_chains(scope, ports)),
        default_filter_chain=_default_chain(scope),
        access_log=listener_access_logs(scope.mesh),
        continue_on_listener_filters_timeout=True,
    )
    if ports.by_name:
        found.listener_filters.append(filters.tls_inspector(ports.by_name))
    if ports.sniffed:
        found.listener_filters.append(filters.http_inspector(ports.sniffed))
    # A client may take its time before it speaks.
    found.listener_filters_timeout.CopyFrom(build.duration(build.NEVER))
    return found


def _unique(chains: Iterable[Any]) -> Iterator[Any]:
    """The first of several chains with one match: Envoy refuses a listener that has two."""
    seen: set[bytes] = set()
    for chain in chains:
        key = chain.filter_chain_match.SerializeToString(deterministic=True)
        if key not in seen:
            seen.add(key)
            yield chain


def _service_ports(scope: Scope) -> Iterator[tuple[Service, Port]]:
    for _, service in sorted(scope.services.items()):
        for port in service.ports:
            yield service, port


def _chains(scope: Scope, ports: Ports) -> Iterator[Any]:
    for number in sorted(ports.http):
        yield _http_chain(scope, number, number in ports.sniffed)
    for service, port in _service_ports(scope):
        if not port.protocol.is_http:
            yield from _address_chains(scope, service, port)


def _http_chain(scope: Scope, port: int, sniffed: bool) -> Any:
    manager = filters.Manager(f"outbound_0.0.0.0_{port}", str(port))
    match = FilterChainMatch(destination_port=build.uint32(port))
    if sniffed:
        match.transport_protocol = filters.RAW
        match.application_protocols.extend(filters.SNIFFED_HTTP)
    return FilterChain(
        name=f"0.0.0.0_{port}",
        filter_chain_match=match,
        filters=[filters.http_connection_manager(scope.mesh, manager)],
    )


def _address_chains(scope: Scope, service: Service, port: Port) -> Iterator[Any]:
    """Chains for a port that is not declared to be HTTP, by the service's addresses and server names."""
    name = f"{service.addresses[0] if service.addresses else '0.0.0.0'}_{port.number}"
    match = FilterChainMatch(
        destination_port=build.uint32(port.number), prefix_ranges=[build.cidr(one) for one in service.addresses]
    )
    if port.protocol is Protocol.AUTO:
        yield _sniffed_chain(scope, service, port, name, match)
    yield from _named_chains(scope, service, port, name, match)
    if service.addresses or service.external:
        clusters = list(_tcp_clusters(scope, service, port))
        chain_match = FilterChainMatch()
        chain_match.CopyFrom(match)
        if not service.addresses and port.protocol is Protocol.TLS:
            chain_match.server_names.append(service.host)
        yield FilterChain(
            name=name,
            filter_chain_match=chain_match,
            filters=[filters.weighted_tcp_proxy(scope.mesh, clusters)],
        )


def _sniffed_chain(scope: Scope, service: Service, port: Port, name: str, match: Any) -> Any:
    own = FilterChainMatch()
    own.CopyFrom(match)
    own.transport_protocol = filters.RAW
    own.application_protocols.extend(filters.SNIFFED_HTTP)
    routes = f"{service.host}:{port.number}"
    manager = filters.Manager(f"outbound_{name}", routes)
    return FilterChain(
        name=name, filter_chain_match=own, filters=[filters.http_connection_manager(scope.mesh, manager)]
    )


def _by_server_name(scope: Scope, service: Service, port: Port) -> bool:
    if port.protocol is not Protocol.TLS:
        return False
    config = scope.virtual_service(service.host)
    return (service.external and not service.addresses) or bool(config and config.object.spec.tls)


def _named_chains(scope: Scope, service: Service, port: Port, name: str, match: Any) -> Iterator[Any]:
    """TLS routes of a VirtualService: by server name."""
    config = scope.virtual_service(service.host)
    if config is None or port.protocol is not Protocol.TLS:
        return
    for route in config.object.spec.tls:
        for wanted in route.match:
            if wanted.port and wanted.port != port.number:
                continue
            own = FilterChainMatch()
            own.CopyFrom(match)
            own.server_names.extend(one for one in wanted.sni_hosts if one != "*")
            clusters = _clusters(scope, config, route.route, port.number)
            yield FilterChain(
                name=name, filter_chain_match=own, filters=[filters.weighted_tcp_proxy(scope.mesh, clusters)]
            )


def _tcp_clusters(scope: Scope, service: Service, port: Port) -> Iterator[tuple[str, int]]:
    """The first TCP route of the VirtualService that fits the port, else the service itself."""
    config = scope.virtual_service(service.host)
    for route in config.object.spec.tcp if config is not None else ():
        fitting = not route.match or any(not one.port or one.port == port.number for one in route.match)
        if fitting and config is not None and route.route:
            yield from _clusters(scope, config, route.route, port.number)
            return
    yield str(ClusterName(port.number, service.host)), 100


def _clusters(
    scope: Scope, config: Config[VirtualService], route: Iterable[RouteDestination], port: int
) -> Iterator[tuple[str, int]]:
    for one in route:
        yield str(tcp_cluster(scope, config, one.destination, port)), one.weight


def tcp_cluster(scope: Scope, config: Config[VirtualService], destination: Destination, port: int) -> ClusterName:
    """The cluster of a TCP or TLS route's destination; without a port as for HTTP routes."""
    host = hosts.resolve(destination.host, config.namespace)
    service = scope.services.get(host)
    if destination.port is not None and destination.port.number:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return ClusterName(port, host, destination.subset)


def _default_chain(scope: Scope) -> Any:
    blocked = scope.outbound_mode == "REGISTRY_ONLY"
    name = "virtualOutbound-blackhole" if blocked else "virtualOutbound-catchall-tcp"
    return FilterChain(name=name, filters=[filters.tcp_proxy(scope.mesh, BLACK_HOLE if blocked else PASSTHROUGH)])
