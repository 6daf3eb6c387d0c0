"""Sidecar: what a workload's proxy listens on and which services it knows."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from meshdojo.istio.models.base import Kind, KindType, Model, UInt32
from meshdojo.istio.models.common import (
    ConnectionPoolSettings,
    Destination,
    NetworkingWorkloadSelector,
    ServerTLSSettings,
)

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class SidecarPort(Model):
    """A port of a listener."""

    number: UInt32 = Field(default=0, description="The port.")
    protocol: str = Field(default="", description="HTTP, HTTPS, HTTP2, GRPC, MONGO, TCP or TLS.")
    name: str = Field(default="", description="A name for the port.")
    target_port: UInt32 = Field(default=0, description="Has no effect.")


class IstioIngressListener(Model):
    """A port on which the proxy takes traffic for its workload."""

    port: SidecarPort = Field(description="The port.")
    bind: str = Field(default="", description="Address to listen on; the pod's if not given.")
    capture_mode: CaptureMode = Field(default="DEFAULT", description="Whether traffic is redirected to the listener.")
    default_endpoint: str = Field(
        default="",
        description="Where the app listens: 127.0.0.1:port, 0.0.0.0:port (the pod's address) or unix:///path.",
    )
    tls: ServerTLSSettings | None = Field(default=None, description="TLS for clients without a sidecar.")
    connection_pool: ConnectionPoolSettings | None = Field(default=None, description="Limits for this port.")


class IstioEgressListener(Model):
    """Services that the workload's clients may know, by namespace and host."""

    port: SidecarPort | None = Field(
        default=None, description="A port to listen on; all ports of the hosts if not given."
    )
    bind: str = Field(default="", description="Address to listen on.")
    capture_mode: CaptureMode = Field(default="DEFAULT", description="Whether traffic is redirected to the listener.")
    hosts: tuple[str, ...] = Field(
        description="namespace/host: * is any namespace, . this one, ~ none; hosts are exact, *.suffix or *."
    )


class OutboundTrafficPolicy(Model):
    """What happens to calls of hosts that are not known."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = Field(
        default="REGISTRY_ONLY", description="REGISTRY_ONLY drops them, ALLOW_ANY lets them pass."
    )
    egress_proxy: Destination | None = Field(default=None, description="Where they are sent instead, with ALLOW_ANY.")


class SidecarSpec(Model):
    """Which workloads, and what their proxies listen on and know."""

    workload_selector: NetworkingWorkloadSelector | None = Field(
        default=None, description="The workloads; without it all of the namespace that no other Sidecar selects."
    )
    ingress: tuple[IstioIngressListener, ...] = Field(
        default=(), description="Ports for incoming traffic; found from the services if not given."
    )
    egress: tuple[IstioEgressListener, ...] = Field(
        default=(), description="Services that the proxy knows; all of the mesh if not given."
    )
    inbound_connection_pool: ConnectionPoolSettings | None = Field(
        default=None, description="Limits of the connections from the proxy to its app."
    )
    outbound_traffic_policy: OutboundTrafficPolicy | None = Field(
        default=None, description="What happens to calls of unknown hosts, instead of the mesh config's choice."
    )


class Sidecar(Kind):
    """The view that the proxies of a namespace, or of selected workloads, have of the mesh."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="Sidecar",
        plural="sidecars",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
    )

    spec: SidecarSpec = Field(
        default=SidecarSpec(), description="What the proxies listen on and which services they know."
    )
