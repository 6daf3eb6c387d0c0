"""EnvoyFilter: changes to the configuration that Istio generates for Envoy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from meshdojo.istio.models.base import Int32, Kind, KindType, Labels, Model, Rule, Struct, UInt32
from meshdojo.istio.models.common import NetworkingWorkloadSelector, PortNumber, TargetReferences


class ProxyMatch(Model):
    """Conditions on the proxy."""

    proxy_version: str = Field(default="", description="An expression for Istio's version in the proxy.")
    metadata: Labels = Field(default_factory=dict, description="Metadata that the proxy must have.")


class ClusterMatch(Model):
    """Which clusters."""

    port_number: UInt32 = Field(default=0, description="Port of the service.")
    service: str = Field(default="", description="Full name of the service.")
    subset: str = Field(default="", description="Subset of the service.")
    name: str = Field(default="", description="Exact name of the cluster; the other conditions are then ignored.")


class RouteMatch(Model):
    """Which routes of a virtual host."""

    name: str = Field(default="", description="Name of the route.")
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = Field(
        default="ANY", description="What the route does."
    )


class VirtualHostMatch(Model):
    """Which virtual hosts of a route configuration."""

    name: str = Field(default="", description="Name of the virtual host, such as web.fleet.svc.cluster.local:80.")
    domain_name: str = Field(default="", description="One of its domains.")
    route: RouteMatch | None = Field(default=None, description="Which of its routes.")


class RouteConfigurationMatch(Model):
    """Which route configurations."""

    port_number: UInt32 = Field(default=0, description="Port of the listener or the gateway's server.")
    port_name: str = Field(default="", description="Name of the gateway's port.")
    gateway: str = Field(default="", description="The gateway: namespace/name.")
    vhost: VirtualHostMatch | None = Field(default=None, description="Which virtual hosts.")
    name: str = Field(default="", description="Name of the route configuration.")


class SubFilterMatch(Model):
    """Which filter within a filter."""

    name: str = Field(default="", description="Name of the inner filter, such as envoy.filters.http.router.")


class FilterMatch(Model):
    """Which network filter."""

    name: str = Field(default="", description="Name of the filter.")
    sub_filter: SubFilterMatch | None = Field(default=None, description="Which HTTP filter inside it.")


class FilterChainMatch(Model):
    """Which filter chains of a listener."""

    name: str = Field(default="", description="Name of the filter chain.")
    sni: str = Field(default="", description="Server name that it matches.")
    transport_protocol: str = Field(default="", description="Transport protocol that it matches: tls or raw_buffer.")
    application_protocols: str = Field(default="", description="ALPN names that it matches, comma separated.")
    filter: FilterMatch | None = Field(default=None, description="Which of its filters.")
    destination_port: UInt32 = Field(default=0, description="Destination port that it matches.")


class ListenerMatch(Model):
    """Which listeners."""

    port_number: UInt32 = Field(default=0, description="Port of the service or the gateway's server.")
    port_name: str = Field(default="", description="Has no effect.")
    filter_chain: FilterChainMatch | None = Field(default=None, description="Which of its filter chains.")
    listener_filter: str = Field(default="", description="Which of its listener filters.")
    name: str = Field(default="", description="Exact name of the listener.")


class WaypointRouteMatch(Model):
    """Which route of a waypoint."""

    name: str = Field(default="", description="Name of the route.")


class WaypointMatch(Model):
    """Which part of a waypoint."""

    filter: FilterMatch | None = Field(default=None, description="Which filter.")
    port_number: PortNumber = Field(default=0, description="Port of the service.")
    route: WaypointRouteMatch | None = Field(default=None, description="Which route.")


class EnvoyConfigObjectMatch(Model):
    """Where in the configuration the patch applies."""

    ONE_OF: ClassVar = (("listener", "routeConfiguration", "cluster", "waypoint"),)
    RULES: ClassVar = (
        Rule(
            'has(self.context) ? ((self.context == "WAYPOINT") ? has(self.waypoint) : !has(self.waypoint)) : '
            "!has(self.waypoint)",
            "only support waypointMatch when context is WAYPOINT",
        ),
    )

    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = Field(
        default="ANY", description="Which role of the proxy."
    )
    proxy: ProxyMatch | None = Field(default=None, description="Conditions on the proxy.")
    listener: ListenerMatch | None = Field(default=None, description="Which listeners.")
    route_configuration: RouteConfigurationMatch | None = Field(default=None, description="Which route configurations.")
    cluster: ClusterMatch | None = Field(default=None, description="Which clusters.")
    waypoint: WaypointMatch | None = Field(default=None, description="Which part of a waypoint.")


class Patch(Model):
    """The change."""

    operation: Literal[
        "INVALID",
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
        "MERGE_AND_REPLACE_LIST",
    ] = Field(default="INVALID", description="What to do with the value.")
    value: Struct | None = Field(default=None, description="Envoy configuration, as JSON of the proto message.")
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = Field(
        default="UNSPECIFIED", description="Where an added filter goes, relative to Istio's own."
    )


class EnvoyConfigObjectPatch(Model):
    """One change and where it is made."""

    apply_to: Literal[
        "INVALID",
        "LISTENER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
        "LISTENER_FILTER",
    ] = Field(default="INVALID", description="Which sort of Envoy resource is changed.")
    match: EnvoyConfigObjectMatch | None = Field(default=None, description="Which of them.")
    patch: Patch | None = Field(default=None, description="The change.")


class EnvoyFilterSpec(Model):
    """Which workloads, and the changes."""

    RULES: ClassVar = (
        Rule(
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1",
            "only one of targetRefs or workloadSelector can be set",
        ),
    )

    workload_selector: NetworkingWorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_refs: TargetReferences = Field(default=(), description="The objects this is attached to.")
    config_patches: tuple[EnvoyConfigObjectPatch, ...] = Field(default=(), description="The changes, made in order.")
    priority: Int32 = Field(
        default=0, description="Order among the EnvoyFilters of a workload; smaller ones come first."
    )


class EnvoyFilter(Kind):
    """A last resort: direct changes of Envoy's configuration."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="EnvoyFilter",
        plural="envoyfilters",
        versions=("v1alpha3",),
        storage="v1alpha3",
    )

    spec: EnvoyFilterSpec = Field(default=EnvoyFilterSpec(), description="The workloads and the changes.")
