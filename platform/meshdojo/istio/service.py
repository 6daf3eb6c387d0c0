"""`Service`: a host that can be called, from a Kubernetes Service or a ServiceEntry; its ports and its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from meshdojo.istio import hosts
from meshdojo.istio.workload import Workload

Object = Mapping[str, Any]
Resolution = Literal["endpoints", "dns", "dns_round_robin", "passthrough"]
EXPORT_ANNOTATION = "networking.istio.io/exportTo"
EVERYONE = ("*",)


class Protocol(Enum):
    """What is spoken on a port. `AUTO`: sniffed per connection."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    TCP = "TCP"
    TLS = "TLS"
    AUTO = "AUTO"
    UDP = "UDP"

    @property
    def is_http(self) -> bool:
        """Whether Envoy routes by requests here."""
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)

    @property
    def is_http2(self) -> bool:
        """Whether it speaks HTTP/2 to the endpoints."""
        return self in (Protocol.HTTP2, Protocol.GRPC)


# Source: istio.io "Protocol Selection", and the name prefixes that istio/pkg/config/protocol knows.
_NAMES = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC,
    "https": Protocol.TLS,
    "tls": Protocol.TLS,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "redis": Protocol.TCP,
    "mysql": Protocol.TCP,
    "udp": Protocol.UDP,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.TLS,
}
# Protocols in which the server speaks first, so that sniffing would wait for ever.
_SERVER_FIRST_PORTS = (25, 53, 3306, 27017)


def select_protocol(number: int, name: str, app_protocol: str | None, transport: str = "TCP") -> Protocol:
    """The protocol of a service's port: ``appProtocol``, else the name up to its first hyphen, else sniffed."""
    if transport != "TCP":
        return Protocol.UDP
    if app_protocol:
        return _NAMES.get(app_protocol.lower(), Protocol.AUTO)
    name = name.lower()
    if name.startswith("grpc-web"):
        return Protocol.GRPC
    known = _NAMES.get(name.partition("-")[0])
    if known is not None:
        return known
    return Protocol.TCP if number in _SERVER_FIRST_PORTS else Protocol.AUTO


@dataclass(frozen=True)
class Port:
    """A port of a service. `target` is the pods' port, by number or container port name."""

    number: int
    name: str
    protocol: Protocol
    target: int | str


@dataclass(frozen=True)
class Endpoint:
    """One address behind a service. `ports`: the port that is called by the name of the service's port.

    `pod` says that the address is a pod IP, whose low ports are served on mapped ones.
    """

    address: str
    ports: Mapping[str, int] = field(hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace: str = ""
    service_account: str = ""
    workload: str = ""
    tls: bool = False
    pod: bool = False
    weight: int = 1

    @classmethod
    def of_pod(cls, address: str, ports: Mapping[str, int], pod: Workload) -> Endpoint:
        """The endpoint that a pod is: what is known of it beyond its address comes from the pod."""
        return cls(
            address,
            ports,
            labels=pod.labels,
            namespace=pod.namespace,
            service_account=pod.service_account,
            workload=pod.description,
            tls=pod.in_mesh,
            pod=True,
        )

    @property
    def identity(self) -> str:
        """The SPIFFE URI of its certificate, '' outside the mesh."""
        return f"spiffe://{hosts.DOMAIN}/ns/{self.namespace}/sa/{self.service_account}" if self.tls else ""


@dataclass(frozen=True)
class Service:
    """`serial` changes whenever anything of the service changes (its endpoints have their own)."""

    host: str
    name: str
    namespace: str
    ports: tuple[Port, ...]
    addresses: tuple[str, ...] = ()
    resolution: Resolution = "endpoints"
    selector: Mapping[str, str] = field(default_factory=dict, hash=False)
    external: bool = False
    export_to: tuple[str, ...] = EVERYONE
    created: str = ""
    subject_alt_names: tuple[str, ...] = ()
    serial: int = field(default=0, compare=False)

    @property
    def kubernetes(self) -> bool:
        """Whether it is a Kubernetes Service (its host then has short forms)."""
        return not self.external and self.host == hosts.fqdn(self.name, self.namespace)

    @property
    def headless(self) -> bool:
        """A service of Kubernetes without an address of its own."""
        return self.kubernetes and not self.addresses

    def port(self, number: int) -> Port | None:
        """The port with this number, None for none."""
        return next((port for port in self.ports if port.number == number), None)

    def visible_from(self, namespace: str) -> bool:
        """exportTo: ``*`` everyone, ``.`` its own namespace, ``~`` nobody, else a namespace's name."""
        return visible(self.export_to, self.namespace, namespace)


def visible(export_to: tuple[str, ...], owner: str, client: str) -> bool:
    """Whether an object of namespace `owner` with this exportTo is seen from namespace `client`."""
    if not export_to:
        return True
    return "*" in export_to or client in export_to or ("." in export_to and owner == client)


def from_kubernetes(obj: Object) -> Service | None:
    """The mesh's view of a Kubernetes Service; None for one without TCP ports or of type ExternalName."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    ports = tuple(port for port in map(_port, spec.get("ports") or ()) if port.protocol is not Protocol.UDP)
    if spec.get("type") == "ExternalName" or not ports:
        return None
    addresses = tuple(one for one in spec.get("clusterIPs") or (spec.get("clusterIP"),) if one and one != "None")
    exported = (metadata.get("annotations") or {}).get(EXPORT_ANNOTATION, "")
    return Service(
        host=hosts.fqdn(metadata["name"], metadata["namespace"]),
        name=metadata["name"],
        namespace=metadata["namespace"],
        ports=ports,
        addresses=addresses,
        resolution="endpoints" if addresses else "passthrough",
        selector=spec.get("selector") or {},
        export_to=tuple(one.strip() for one in exported.split(",") if one.strip()) or EVERYONE,
        created=metadata.get("creationTimestamp", ""),
    )


def _port(entry: Object) -> Port:
    number, name = entry["port"], entry.get("name", "")
    protocol = select_protocol(number, name, entry.get("appProtocol"), entry.get("protocol") or "TCP")
    return Port(number, name, protocol, entry.get("targetPort") or number)
