"""ServiceEntry: a service that Kubernetes does not know, added to the mesh's registry."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Column, Kind, KindType, Model, Rule, schema
from meshdojo.istio.models.common import NetworkingWorkloadSelector, PortNumber
from meshdojo.istio.models.workload_entry import WorkloadEntrySpec


class ServicePort(Model):
    """A port of the service."""

    number: PortNumber = Field(description="The port that clients call.")
    protocol: Annotated[str, MaxLen(256)] = Field(
        default="",
        description="HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, TCP or TLS; found out by sniffing if not given.",
    )
    name: Annotated[str, MaxLen(256)] = Field(description="A name for the port.")
    target_port: PortNumber = Field(default=0, description="Port of the endpoints; the same as number if not given.")


class ServiceEntrySpec(Model):
    """Hosts, ports and where the endpoints are."""

    RULES: ClassVar = (
        Rule(
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1",
            "only one of WorkloadSelector or Endpoints can be set",
        ),
        Rule(
            '!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && !((has(self.resolution) ? '
            'self.resolution : "NONE") in ["STATIC", "NONE"]))',
            "CIDR addresses are allowed only for NONE/STATIC resolution types",
        ),
        Rule(
            '((has(self.resolution) ? self.resolution : "NONE") == "NONE") ? !has(self.endpoints) : true',
            "NONE mode cannot set endpoints",
        ),
        Rule(
            '((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? ((has(self.endpoints) ? '
            "self.endpoints : []).size() <= 1) : true",
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
        ),
    )

    hosts: Annotated[
        tuple[Annotated[str, schema(Rule('self != "*"', "hostname cannot be wildcard"))], ...],
        MinLen(1),
        MaxLen(256),
    ] = Field(description="DNS names of the service, exact or *.suffix.")
    addresses: Annotated[tuple[Annotated[str, MaxLen(64)], ...], MaxLen(256)] = Field(
        default=(), description="Virtual addresses or CIDRs by which connections to it are recognised."
    )
    ports: Annotated[
        tuple[ServicePort, ...],
        schema(
            Rule(
                "self.all(l1, self.exists_one(l2, l1.number == l2.number))",
                "port number cannot be duplicated",
            ),
            maxItems=256,
            x_kubernetes_list_type="map",
            x_kubernetes_list_map_keys=["name"],
        ),
    ] = Field(default=(), description="Ports of the service.")
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = Field(
        default="MESH_EXTERNAL", description="Whether it belongs to the mesh (mutual TLS) or lies outside."
    )
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = Field(
        default="NONE",
        description="How endpoints are found: NONE goes to the address the client called, STATIC uses endpoints, DNS "
        "and DNS_ROUND_ROBIN look the names up, DYNAMIC_DNS looks up the name in the request.",
    )
    endpoints: Annotated[tuple[WorkloadEntrySpec, ...], schema(maxItems=4096)] = Field(
        default=(), description="Addresses of the service. Not beside workloadSelector."
    )
    workload_selector: NetworkingWorkloadSelector | None = Field(
        default=None, description="Pods and WorkloadEntries that are the endpoints, for MESH_INTERNAL."
    )
    export_to: tuple[str, ...] = Field(
        default=(), description="Namespaces that see this object: . is its own, * is every one (the default)."
    )
    subject_alt_names: tuple[str, ...] = Field(default=(), description="Identities of which the servers must have one.")


class ServiceEntry(Kind):
    """A service outside of Kubernetes."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="ServiceEntry",
        plural="serviceentries",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("se",),
        columns=(
            Column("Hosts", ".spec.hosts", "DNS names of the service."),
            Column("Location", ".spec.location", "Inside or outside of the mesh."),
            Column("Resolution", ".spec.resolution", "How endpoints are found."),
            AGE,
        ),
        spec_required=True,
    )

    spec: ServiceEntrySpec = Field(description="The service's hosts, ports and endpoints.")
