"""WorkloadGroup: a template for the entries of workloads outside Kubernetes that join by themselves."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, MinLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, Int32, Kind, KindType, Labels, Model, Rule, schema
from meshdojo.istio.models.common import PortNumber
from meshdojo.istio.models.workload_entry import WorkloadTemplate

Count = Annotated[Int32, Ge(0)]


class WorkloadGroupMetadata(Model):
    """Metadata that each entry gets."""

    labels: Annotated[Labels, schema(maxProperties=256)] = Field(
        default_factory=dict, description="Labels of the entries."
    )
    annotations: Annotated[Labels, schema(maxProperties=256)] = Field(
        default_factory=dict, description="Annotations of the entries."
    )


class HTTPHeader(Model):
    """A header of a probe's request."""

    name: Annotated[str, schema(pattern="^[-_A-Za-z0-9]+$")] = Field(default="", description="Name of the header.")
    value: str = Field(default="", description="Its value.")


class HTTPHealthCheck(Model):
    """A probe by HTTP GET; 200 to 399 is healthy."""

    path: str = Field(default="", description="Path to ask for.")
    port: PortNumber = Field(description="Port of the workload.")
    host: str = Field(default="", description="Host to connect to; the workload itself if not given.")
    scheme: Annotated[str, schema(Rule('self in ["", "HTTP", "HTTPS"]', "scheme must be one of [HTTP, HTTPS]"))] = (
        Field(default="", description="HTTP (the default) or HTTPS.")
    )
    http_headers: tuple[HTTPHeader, ...] = Field(default=(), description="Headers of the request.")


class TCPHealthCheck(Model):
    """A probe that only connects."""

    host: str = Field(default="", description="Host to connect to; the workload itself if not given.")
    port: PortNumber = Field(description="Port of the workload.")


class ExecHealthCheck(Model):
    """A probe by command; exit code 0 is healthy."""

    command: tuple[Annotated[str, MinLen(1)], ...] = Field(description="The command and its arguments.")


class GrpcHealthCheck(Model):
    """A probe by gRPC's health service."""

    port: PortNumber = Field(default=0, description="Port of the workload.")
    service: str = Field(default="", description="Service name to ask for.")


class ReadinessProbe(Model):
    """How a workload is found to be ready."""

    ONE_OF: ClassVar = (("httpGet", "tcpSocket", "exec", "grpc"),)

    initial_delay_seconds: Count = Field(default=0, description="Seconds before the first probe.")
    timeout_seconds: Count = Field(default=0, description="Seconds to wait for an answer; 1 if not given.")
    period_seconds: Count = Field(default=0, description="Seconds between two probes; 10 if not given.")
    success_threshold: Count = Field(default=0, description="Successes in a row that make it ready; 1 if not given.")
    failure_threshold: Count = Field(default=0, description="Failures in a row that make it unready; 3 if not given.")
    http_get: HTTPHealthCheck | None = Field(default=None, description="Ask by HTTP.")
    tcp_socket: TCPHealthCheck | None = Field(default=None, description="Connect by TCP.")
    exec: ExecHealthCheck | None = Field(default=None, description="Run a command.")
    grpc: GrpcHealthCheck | None = Field(default=None, description="Ask by gRPC.")


class WorkloadGroupSpec(Model):
    """What the entries look like."""

    metadata: WorkloadGroupMetadata | None = Field(default=None, description="Labels and annotations of the entries.")
    template: WorkloadTemplate = Field(description="Ports, service account and labels of the entries.")
    probe: ReadinessProbe | None = Field(default=None, description="How a workload is found to be ready.")


class WorkloadGroup(Kind):
    """Workloads outside Kubernetes that belong together, as a Deployment's pods do."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="WorkloadGroup",
        plural="workloadgroups",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("wg",),
        columns=(AGE,),
        spec_required=True,
    )

    spec: WorkloadGroupSpec = Field(description="What the entries of the group look like.")
