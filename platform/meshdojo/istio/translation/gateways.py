"""The servers that a gateway's pod runs, merged from all Gateway objects that select it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.models.gateway import Gateway, Server
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.snapshot import Snapshot, fits
from meshdojo.istio.translation.routes.http import gateway_name
from meshdojo.istio.translation.scope import Scope
from meshdojo.istio.workload import Workload

HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")


@dataclass(frozen=True, eq=False)
class GatewayServer:
    """One server of a Gateway. `port` is the pod's port (the target of the service's port `server.port.number`)."""

    gateway: Config[Gateway]
    server: Server
    port: int

    @property
    def gateway_name(self) -> str:
        """As VirtualServices name it: ``NAMESPACE/NAME``."""
        return f"{self.gateway.namespace}/{self.gateway.name}"

    @property
    def is_http(self) -> bool:
        """Plain HTTP, or HTTPS that ends here: it has routes."""
        protocol = self.server.port.protocol.upper()
        return protocol in HTTP_PROTOCOLS or (protocol == "HTTPS" and self.terminates)

    @property
    def terminates(self) -> bool:
        """Whether the gateway itself ends TLS."""
        tls = self.server.tls
        return tls is not None and tls.mode not in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def encrypted(self) -> bool:
        """Whether clients speak TLS to it."""
        return self.server.port.protocol.upper() in ("HTTPS", "TLS")

    @property
    def route_name(self) -> str:
        """``http.8080`` (shared by all plain servers of a port) or ``https.443.NAME.GATEWAY.NAMESPACE``."""
        if not self.encrypted:
            return f"http.{self.port}"
        port = self.server.port
        return f"https.{port.number}.{port.name}.{self.gateway.name}.{self.gateway.namespace}"

    @property
    def hosts(self) -> tuple[tuple[str, str], ...]:
        """(namespace, host) of each entry; the namespace is ``*`` where any may bind."""
        found = []
        for entry in self.server.hosts:
            where, _, host = entry.rpartition("/")
            found.append((self.gateway.namespace if where == "." else where or "*", host))
        return tuple(found)

    @property
    def names(self) -> list[str]:
        """The hosts alone, for SNI; empty when any name fits."""
        names = [host for _, host in self.hosts]
        return [] if "*" in names else names


def servers(snapshot: Snapshot, pod: Workload) -> list[GatewayServer]:
    """All servers that run on this pod, those of older Gateways first."""
    targets = _targets(snapshot, pod)
    return [
        GatewayServer(gateway, server, targets.get(server.port.number, server.port.number))
        for gateway in snapshot.gateways
        if fits(gateway.object.spec.selector, pod.labels)
        for server in gateway.object.spec.servers
    ]


def _targets(snapshot: Snapshot, pod: Workload) -> Mapping[int, int]:
    """The pod's port behind each port of the services that lead to it."""
    found: dict[int, int] = {}
    for service in snapshot.services.selecting(pod):
        for port in service.ports:
            target = pod.number(port.target)
            if target is not None:
                found.setdefault(port.number, target)
    return found


def bound(scope: Scope, server: GatewayServer) -> Iterator[tuple[str, Config[VirtualService]]]:
    """(host, VirtualService) of what binds to a server, the oldest first; the host is the more specific of the two."""
    for config in scope.virtual_services:
        names = [gateway_name(one, config.namespace) for one in config.object.spec.gateways]
        if server.gateway_name not in names:
            continue
        for host in config.object.spec.hosts:
            common = _common(server, hosts.resolve(host, config.namespace), config.namespace)
            if common is not None:
                yield common, config


def _common(server: GatewayServer, host: str, namespace: str) -> str | None:
    fitting = (
        hosts.overlap(pattern.lower(), host.lower()) for where, pattern in server.hosts if where in ("*", namespace)
    )
    return next((one for one in fitting if one is not None), None)


def by_port(found: Iterable[GatewayServer]) -> dict[int, list[GatewayServer]]:
    """The servers that share a port, in their order."""
    ports: dict[int, list[GatewayServer]] = {}
    for one in found:
        ports.setdefault(one.port, []).append(one)
    return ports
