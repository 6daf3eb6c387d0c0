"""Route configurations of a sidecar's outbound side.

Named by port (``8080``) for ports on which HTTP is declared: one virtual host per service that has the port. Named
``HOST:PORT`` for ports whose protocol is found out by sniffing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import Route, RouteConfiguration, VirtualHost
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.service import Protocol, Service
from meshdojo.istio.translation import build
from meshdojo.istio.translation.clusters.fixed import PASSTHROUGH
from meshdojo.istio.translation.routes.http import Place, default_route, routes
from meshdojo.istio.translation.routes.matching import route_match
from meshdojo.istio.translation.scope import Scope

ALLOW_ANY, BLOCK_ALL = "allow_any", "block_all"
LARGEST_BODY = 1024 * 1024
# The port on which hosts without a service are served (a VirtualService may name any host).
PLAIN_PORT = 80


@dataclass(frozen=True)
class Name:
    """A parsed route configuration name. `host` is '' for a shared port."""

    port: int
    host: str = ""

    @classmethod
    def parse(cls, name: str) -> Name | None:
        """The parts of ``[HOST:]PORT``; None for the name of something else."""
        host, _, port = name.rpartition(":")
        return cls(int(port), host) if port.isdigit() else None


@dataclass(frozen=True)
class Entry:
    """A virtual host to be: a host, its service if there is one, and the VirtualService that speaks of it."""

    host: str
    service: Service | None
    config: Config[VirtualService] | None


def entries(scope: Scope, name: Name) -> list[Entry]:
    """What a route configuration consists of, in a fixed order."""
    if name.host:
        service = scope.services.get(name.host)
        return [Entry(name.host, service, scope.virtual_service(name.host))] if service else []
    found = [
        Entry(host, service, scope.virtual_service(host))
        for host, service in sorted(scope.services.items())
        if (port := service.port(name.port)) is not None and port.protocol.is_http
    ]
    if name.port == PLAIN_PORT:
        found += [
            Entry(host, None, config)
            for host, config in sorted(scope.mesh_routes, key=lambda pair: pair[0])
            if host not in scope.services
        ]
    return found


def inputs(scope: Scope, name: Name, labels: Mapping[str, str]) -> tuple[object, ...]:
    """Everything that the route configuration depends on, by serial; equal inputs, equal result."""
    parts: list[object] = [scope.namespace, scope.outbound_mode, scope.mesh.serial]
    for entry in entries(scope, name):
        parts.append((entry.host, entry.service.serial if entry.service else 0))
        if entry.config is not None:
            parts.append((entry.config.serial, _labels_used(entry.config, labels)))
            parts += [_destination(scope, host) for host in destination_hosts(entry.config)]
        parts.append(_destination(scope, entry.host))
    return tuple(parts)


def destination_hosts(config: Config[VirtualService]) -> Iterator[str]:
    """Every host that a VirtualService's HTTP routes lead to, mirrors included."""
    for route in config.object.spec.http:
        mirrors = [*(one.destination for one in route.mirrors), *([route.mirror] if route.mirror else [])]
        for one in (*(target.destination for target in route.route), *mirrors):
            yield hosts.resolve(one.host, config.namespace)


def _destination(scope: Scope, host: str) -> tuple[object, ...]:
    service, rule = scope.services.get(host), scope.rule(host)
    return host, service.serial if service else 0, rule.serials if rule else ()


def _labels_used(config: Config[VirtualService], labels: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    names = {name for route in config.object.spec.http for match in route.match for name in match.source_labels}
    return tuple((name, labels.get(name)) for name in sorted(names))


def configuration(scope: Scope, text: str, labels: Mapping[str, str]) -> Any:
    """The route configuration of that name."""
    name = Name.parse(text)
    found = RouteConfiguration(name=text, ignore_port_in_host_matching=True)
    found.validate_clusters.value = False
    found.max_direct_response_body_size_bytes.value = LARGEST_BODY
    taken: set[str] = set()
    if name is not None:
        for entry in entries(scope, name):
            domains = [one for one in _domains(scope, entry, bool(name.host)) if one not in taken]
            if domains:
                taken.update(domains)
                found.virtual_hosts.append(_virtual_host(scope, entry, name.port, domains, labels))
    if name is None or not name.host:
        found.virtual_hosts.append(unknown_hosts(scope))
    return found


def _virtual_host(scope: Scope, entry: Entry, port: int, domains: list[str], labels: Mapping[str, str]) -> Any:
    host = VirtualHost(name=f"{entry.host}:{port}", domains=domains, include_request_attempt_count=True)
    if entry.config is not None and entry.config.object.spec.http:
        host.routes.extend(routes(entry.config, Place(scope, hosts.MESH, port, labels)))
    elif entry.service is not None:
        host.routes.append(default_route(scope, ClusterName(port, entry.host)))
    return host


def _domains(scope: Scope, entry: Entry, alone: bool) -> list[str]:
    """The names by which a client may call a host; ports in them are ignored.

    Source: generateVirtualHostDomains in istio/pilot/pkg/networking/core.
    """
    if alone:
        return ["*"]
    service = entry.service
    if service is None or not service.kubernetes:
        addresses = [one for one in service.addresses if "/" not in one] if service is not None else []
        return [entry.host, *addresses]
    name, namespace = service.name, service.namespace
    short = [name] if namespace == scope.namespace else []
    found = [service.host, f"{service.host}.", *short, f"{name}.{namespace}.svc", f"{name}.{namespace}"]
    if service.headless:
        found += [f"*.{one}" for one in found if not one.endswith(".")]
    return [*found, *service.addresses]


def unknown_hosts(scope: Scope) -> Any:
    """ALLOW_ANY lets requests to unknown hosts pass, REGISTRY_ONLY answers them with 502."""
    blocked = scope.outbound_mode == "REGISTRY_ONLY"
    name = BLOCK_ALL if blocked else ALLOW_ANY
    route = Route(match=route_match(None), name=name)
    if blocked:
        route.direct_response.status = 502
    else:
        route.route.cluster = PASSTHROUGH
        route.route.timeout.CopyFrom(build.duration(build.NEVER))
        route.route.max_grpc_timeout.CopyFrom(build.duration(build.NEVER))
    return VirtualHost(name=name, domains=["*"], routes=[route], include_request_attempt_count=True)


def names(scope: Scope) -> Iterator[str]:
    """All route configurations that the outbound listener refers to."""
    ports = sorted({port.number for one in scope.services.values() for port in one.ports if port.protocol.is_http})
    yield from map(str, ports)
    for host, service in sorted(scope.services.items()):
        for port in service.ports:
            if port.protocol is Protocol.AUTO:
                yield f"{host}:{port.number}"
