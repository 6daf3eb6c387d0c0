"""Gateway: the ports, hosts and certificates that a gateway's pods serve at the edge of the mesh."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from meshdojo.istio.models.base import Kind, KindType, Labels, Model, UInt32
from meshdojo.istio.models.common import ServerTLSSettings


class Port(Model):
    """A port that a gateway listens on."""

    number: UInt32 = Field(description="The port, as clients see it on the gateway's service.")
    protocol: str = Field(description="HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP or TLS.")
    name: str = Field(description="A name for the port.")
    target_port: UInt32 = Field(default=0, description="Has no effect; left over from an older version.")


class Server(Model):
    """One port and what it serves."""

    port: Port = Field(description="Where the gateway listens.")
    bind: str = Field(default="", description="Address to listen on; all addresses if not given.")
    hosts: tuple[str, ...] = Field(
        description="Hosts that are served, as [namespace/]name: exact, *.suffix, or *. The namespace says whose "
        "VirtualServices may bind (. is this object's own, * any)."
    )
    tls: ServerTLSSettings | None = Field(default=None, description="TLS settings; required for HTTPS and TLS.")
    default_endpoint: str = Field(default="", description="Has no effect at gateways.")
    name: str = Field(default="", description="A name for the server, unique within the gateway.")


class GatewaySpec(Model):
    """Servers, and the pods that run them."""

    servers: tuple[Server, ...] = Field(default=(), description="The ports and what they serve.")
    selector: Labels = Field(
        default_factory=dict, description="Labels of the gateway's pods, such as istio: ingressgateway."
    )


class Gateway(Kind):
    """Servers at the edge of the mesh. VirtualServices bind to it with routes."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="Gateway",
        plural="gateways",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("gw",),
    )

    spec: GatewaySpec = Field(default=GatewaySpec(), description="The servers and the pods that run them.")
