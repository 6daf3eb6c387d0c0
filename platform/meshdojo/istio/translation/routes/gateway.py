"""Route configurations of a gateway: ``http.PORT``, and one per HTTPS server.

Unlike in the mesh, the routes of several VirtualServices for one host are merged here, the oldest first; those that
every request fits come after all others, whosever they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.istio.configs import Config
from meshdojo.istio.messages import RouteConfiguration, VirtualHost
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.translation.gateways import GatewayServer, bound
from meshdojo.istio.translation.routes.http import Place, routes
from meshdojo.istio.translation.routes.matching import catch_all_last
from meshdojo.istio.translation.routes.sidecar import LARGEST_BODY, destination_hosts
from meshdojo.istio.translation.scope import Scope

Binding = tuple[GatewayServer, Config[VirtualService]]


def bindings(scope: Scope, servers: Iterable[GatewayServer]) -> dict[str, list[Binding]]:
    """What serves each host of a route configuration, in the order in which it is asked."""
    found: dict[str, list[Binding]] = {}
    for server in servers:
        for host, config in bound(scope, server):
            pairs = found.setdefault(host, [])
            if not any(other is config for _, other in pairs):
                pairs.append((server, config))
    return found


def inputs(scope: Scope, servers: list[GatewayServer]) -> tuple[object, ...]:
    """Everything that the route configuration depends on, by serial."""
    parts: list[object] = [scope.mesh.serial, *(one.gateway.serial for one in servers)]
    for host, pairs in bindings(scope, servers).items():
        for _, config in pairs:
            parts.append((host, config.serial))
            for target in destination_hosts(config):
                service, rule = scope.services.get(target), scope.rule(target)
                parts.append((service.serial if service else 0, rule.serials if rule else ()))
    return tuple(parts)


def configuration(scope: Scope, name: str, servers: list[GatewayServer]) -> Any:
    """The route configuration that these servers share."""
    found = RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    found.validate_clusters.value = False
    found.max_direct_response_body_size_bytes.value = LARGEST_BODY
    for host, pairs in bindings(scope, servers).items():
        virtual = _virtual_host(scope, host, pairs)
        if virtual.routes or virtual.require_tls:
            found.virtual_hosts.append(virtual)
    taken = {domain for virtual in found.virtual_hosts for domain in virtual.domains}
    found.virtual_hosts.extend(_redirects(servers, taken))
    return found


def _virtual_host(scope: Scope, host: str, pairs: list[Binding]) -> Any:
    port = pairs[0][0].server.port.number
    found = VirtualHost(name=f"{host}:{port}", domains=[host], include_request_attempt_count=True)
    if any(_redirects_to_https(server) for server, _ in pairs):
        found.require_tls = VirtualHost.ALL
    places = [(config, Place(scope, server.gateway_name, server.server.port.number)) for server, config in pairs]
    found.routes.extend(catch_all_last(route for config, place in places for route in routes(config, place)))
    # The host in a request may be written in any case; Envoy compares domains without regard to it.
    return found


def _redirects(servers: list[GatewayServer], taken: set[str]) -> Iterable[Any]:
    """Hosts that only send their clients to https."""
    for server in servers:
        if not _redirects_to_https(server):
            continue
        for _, host in server.hosts:
            if host not in taken:
                taken.add(host)
                name = f"{host}:{server.server.port.number}"
                yield VirtualHost(name=name, domains=[host], require_tls=VirtualHost.ALL)


def _redirects_to_https(server: GatewayServer) -> bool:
    return server.server.tls is not None and server.server.tls.https_redirect
