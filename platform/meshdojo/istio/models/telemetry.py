"""Telemetry: access logs, metrics and traces of workloads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import Field

from meshdojo.istio.models.base import AGE, NULLABLE, Double, Duration, Kind, KindType, Model, NullableBool, Rule
from meshdojo.istio.models.common import ONE_TARGET, PolicyTargetReference, TargetReferences, WorkloadSelector

WorkloadMode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]
NonEmpty = Annotated[str, MinLen(1)]


class ProviderRef(Model):
    """A provider of the mesh config."""

    name: NonEmpty = Field(description="Name of the extension provider.")


class Literal_(Model):  # noqa: N801  Istio's name collides with typing's
    """A fixed value."""

    value: NonEmpty = Field(description="The value.")


class Environment(Model):
    """A value from the proxy's environment."""

    name: NonEmpty = Field(description="Name of the variable.")
    default_value: str = Field(default="", description="Value if there is no such variable.")


class RequestHeader(Model):
    """A value from a request header."""

    name: NonEmpty = Field(description="Name of the header.")
    default_value: str = Field(default="", description="Value if there is no such header.")


class Formatter(Model):
    """A value in Envoy's access log format."""

    value: NonEmpty = Field(description="The format, such as %RESPONSE_CODE%.")


class CustomTag(Model):
    """A tag of a span."""

    ONE_OF: ClassVar = (("literal", "environment", "header", "formatter"),)

    literal: Literal_ | None = Field(default=None, description="A fixed value.")
    environment: Environment | None = Field(default=None, description="A variable of the proxy's environment.")
    header: RequestHeader | None = Field(default=None, description="A request header.")
    formatter: Formatter | None = Field(default=None, description="A value in the access log's format.")


class TracingSelector(Model):
    """Which side of a connection."""

    mode: WorkloadMode = Field(default="CLIENT_AND_SERVER", description="The workload as client, as server, or both.")


class Tracing(Model):
    """Settings of traces."""

    match: TracingSelector | None = Field(default=None, description="Which side they are for.")
    providers: tuple[ProviderRef, ...] = Field(default=(), description="Where spans are sent.")
    random_sampling_percentage: Annotated[Double, Ge(0), Le(100), NULLABLE] | None = Field(
        default=None, description="Share of the requests that are traced unless the client decided."
    )
    disable_span_reporting: NullableBool | None = Field(default=None, description="Send no spans.")
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict, description="Tags added to each span.")
    use_request_id_for_trace_sampling: NullableBool | None = Field(
        default=None, description="Whether x-request-id carries the decision to trace."
    )
    enable_istio_tags: NullableBool | None = Field(default=None, description="Add Istio's own tags.")
    disable_context_propagation: NullableBool | None = Field(default=None, description="Pass no trace headers on.")


class MetricSelector(Model):
    """Which metric, on which side."""

    ONE_OF: ClassVar = (("metric", "customMetric"),)

    metric: (
        Literal[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]
        | None
    ) = Field(default=None, description="One of Istio's standard metrics.")
    custom_metric: NonEmpty | None = Field(default=None, description="Another metric, by name.")
    mode: WorkloadMode = Field(default="CLIENT_AND_SERVER", description="The workload as client, as server, or both.")


class TagOverride(Model):
    """A change of one tag of a metric."""

    RULES: ClassVar = (
        Rule(
            '((has(self.operation) ? self.operation : "") == "UPSERT") ? (self.value != "") : true',
            "value must be set when operation is UPSERT",
        ),
        Rule(
            '((has(self.operation) ? self.operation : "") == "REMOVE") ? !has(self.value) : true',
            "value must not be set when operation is REMOVE",
        ),
    )

    operation: Literal["UPSERT", "REMOVE"] = Field(default="UPSERT", description="Set the tag, or take it away.")
    value: str = Field(default="", description="A CEL expression over the request's attributes.")


class MetricsOverrides(Model):
    """Changes of metrics."""

    match: MetricSelector | None = Field(default=None, description="Which metrics; all if not given.")
    disabled: NullableBool | None = Field(default=None, description="Do not report them.")
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict, description="Changes of tags, by name.")


class Metrics(Model):
    """Settings of metrics."""

    providers: tuple[ProviderRef, ...] = Field(default=(), description="Who collects them.")
    overrides: tuple[MetricsOverrides, ...] = Field(default=(), description="Changes, applied in order.")
    reporting_interval: Duration | None = Field(default=None, description="Time between two reports; 5s if not given.")


class LogSelector(Model):
    """Which side of a connection."""

    mode: WorkloadMode = Field(default="CLIENT_AND_SERVER", description="The workload as client, as server, or both.")


class AccessLogFilter(Model):
    """Which requests are logged."""

    expression: str = Field(default="", description="A CEL expression that must be true, such as response.code >= 400.")


class AccessLogging(Model):
    """Settings of access logs."""

    match: LogSelector | None = Field(default=None, description="Which side they are for.")
    providers: tuple[ProviderRef, ...] = Field(
        default=(), description="Where logs go, such as envoy (standard output)."
    )
    disabled: NullableBool | None = Field(default=None, description="Write no log.")
    filter: AccessLogFilter | None = Field(default=None, description="Which requests are logged; all if not given.")


class TelemetrySpec(Model):
    """Which workloads, and their logs, metrics and traces."""

    RULES: ClassVar = (ONE_TARGET,)

    selector: WorkloadSelector | None = Field(
        default=None,
        description="The workloads; without it all of the namespace, or of the mesh in the root namespace.",
    )
    target_ref: PolicyTargetReference | None = Field(default=None, description="The object this is attached to.")
    target_refs: TargetReferences = Field(default=(), description="The objects this is attached to.")
    tracing: tuple[Tracing, ...] = Field(default=(), description="Settings of traces.")
    metrics: tuple[Metrics, ...] = Field(default=(), description="Settings of metrics.")
    access_logging: tuple[AccessLogging, ...] = Field(default=(), description="Settings of access logs.")


class Telemetry(Kind):
    """What is recorded of a workload's traffic."""

    TYPE: ClassVar = KindType(
        group="telemetry.istio.io",
        kind="Telemetry",
        plural="telemetries",
        versions=("v1", "v1alpha1"),
        storage="v1alpha1",
        short_names=("telemetry",),
        columns=(AGE,),
        labels=(("istio", "telemetry"),),
    )

    spec: TelemetrySpec = Field(
        default=TelemetrySpec(), description="The workloads, and their logs, metrics and traces."
    )
