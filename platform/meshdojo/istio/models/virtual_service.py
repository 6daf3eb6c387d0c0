"""VirtualService: which requests go where, and what happens to them on the way."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field

from meshdojo.istio.models.base import (
    AGE,
    Column,
    Duration,
    Int32,
    Kind,
    KindType,
    Labels,
    Model,
    NullableBool,
    NullableUInt32,
    Percent,
    UInt32,
    schema,
)
from meshdojo.istio.models.common import Destination


class StringMatch(Model):
    """How a text must look. Without any member it only has to be there."""

    ONE_OF: ClassVar = (("exact", "prefix", "regex"),)

    exact: str | None = Field(default=None, description="The whole text.")
    prefix: str | None = Field(
        default=None, description="How the text begins, compared by characters (/two fits /twofold)."
    )
    regex: str | None = Field(default=None, description="An RE2 expression for the whole text.")


class HeaderOperations(Model):
    """Changes of headers, made in the order set, add, remove."""

    set: Labels = Field(default_factory=dict, description="Headers that get exactly this value.")
    add: Labels = Field(default_factory=dict, description="Values appended to headers.")
    remove: tuple[str, ...] = Field(default=(), description="Headers taken away.")


class Headers(Model):
    """Changes of headers on the way there and back."""

    request: HeaderOperations | None = Field(default=None, description="Changes before the request goes on.")
    response: HeaderOperations | None = Field(default=None, description="Changes before the answer goes back.")


class HTTPRouteDestination(Model):
    """One of the weighted targets of a route."""

    destination: Destination = Field(description="The service, or subset of it, that gets the request.")
    weight: Int32 = Field(
        default=0, description="Share of the requests, relative to the sum of the weights. A sole target needs none."
    )
    headers: Headers | None = Field(
        default=None, description="Header changes for this target only, after the route's own."
    )


class HTTPMatchRequest(Model):
    """Conditions on a request; all that are given must hold."""

    name: str = Field(default="", description="A name for logs; added to the route's name.")
    uri: StringMatch | None = Field(default=None, description="The path, without the query string; case matters.")
    scheme: StringMatch | None = Field(default=None, description="http or https; case matters.")
    method: StringMatch | None = Field(default=None, description="The method, such as GET; case matters.")
    authority: StringMatch | None = Field(default=None, description="The Host header (:authority); case matters.")
    headers: dict[str, StringMatch] = Field(
        default_factory=dict, description="Headers by name in small letters; {} means the header must be there."
    )
    port: UInt32 = Field(default=0, description="The port that the client called.")
    source_labels: Labels = Field(default_factory=dict, description="Labels of the client's pod. Not at gateways.")
    gateways: tuple[str, ...] = Field(
        default=(),
        description="Gateways at which this applies, instead of the object's own list; mesh means the sidecars.",
    )
    query_params: dict[str, StringMatch] = Field(
        default_factory=dict, description="Query parameters by name (exact, regex, or {} for being there)."
    )
    ignore_uri_case: bool = Field(default=False, description="Compare an exact or prefix uri without regard to case.")
    without_headers: dict[str, StringMatch] = Field(
        default_factory=dict, description="Header conditions that must not hold."
    )
    source_namespace: str = Field(default="", description="Namespace of the client's pod. Not at gateways.")
    stat_prefix: str = Field(default="", description="Prefix for statistics of this route.")


class HTTPRedirect(Model):
    """An answer that sends the client elsewhere."""

    ONE_OF: ClassVar = (("port", "derivePort"),)

    uri: str = Field(default="", description="The new path: replaces the whole old one, even after a prefix match.")
    authority: str = Field(default="", description="The new host.")
    port: UInt32 | None = Field(default=None, description="The new port.")
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = Field(
        default=None, description="Take the port from the scheme (80, 443) or keep that of the request."
    )
    scheme: str = Field(default="", description="The new scheme, such as https. The port of the Host header stays.")
    redirect_code: UInt32 = Field(default=0, description="Status of the answer; 301 if not given.")
    prefix_rewrite: str = Field(default="", description="Replaces only the matched prefix of the path.")


class HTTPBody(Model):
    """The body of a fixed answer."""

    ONE_OF: ClassVar = (("string", "bytes"),)

    string: str | None = Field(default=None, description="The body as text.")
    bytes_: Annotated[str, schema(format="byte")] | None = Field(default=None, description="The body in base64.")


class HTTPDirectResponse(Model):
    """An answer by the proxy itself."""

    status: UInt32 = Field(description="The status code.")
    body: HTTPBody | None = Field(default=None, description="The body; empty if not given.")


class Delegate(Model):
    """Another VirtualService that holds the routes for a part of the paths."""

    name: str = Field(default="", description="Name of the VirtualService.")
    namespace: str = Field(default="", description="Its namespace; this object's if not given.")


class RegexRewrite(Model):
    """A rewrite of the path by expression."""

    match: str = Field(default="", description="An RE2 expression for the part to be replaced.")
    rewrite: str = Field(default="", description="The replacement; groups are written \\1.")


class HTTPRewrite(Model):
    """Changes of path and host before the request goes on. Cannot be combined with a redirect."""

    uri: str = Field(default="", description="The new path. After a prefix match it replaces only that prefix.")
    authority: str = Field(default="", description="The new Host header.")
    uri_regex_rewrite: RegexRewrite | None = Field(default=None, description="Replace parts of the path by expression.")


class HTTPRetry(Model):
    """When and how often a failed request is sent again."""

    attempts: Int32 = Field(default=0, description="Most retries after the first try; 0 turns them off.")
    per_try_timeout: Duration | None = Field(
        default=None, description="Time limit of each try; the route's if not given."
    )
    retry_on: str = Field(
        default="",
        description="Conditions, comma separated: Envoy's names (5xx, reset, connect-failure) or status codes.",
    )
    retry_remote_localities: NullableBool | None = Field(
        default=None, description="Whether retries may go to other zones."
    )
    retry_ignore_previous_hosts: NullableBool | None = Field(
        default=None, description="Whether a retry avoids the pods that were already tried; true if not given."
    )
    backoff: Duration | None = Field(default=None, description="Least time between retries; 25ms if not given.")


class FaultDelay(Model):
    """Requests that have to wait before they go on."""

    ONE_OF: ClassVar = (("fixedDelay", "exponentialDelay"),)

    percent: Int32 = Field(default=0, description="Deprecated: whole per cents. Use percentage.")
    fixed_delay: Duration | None = Field(default=None, description="How long they wait.")
    exponential_delay: Duration | None = Field(default=None, description="Not supported by the proxy.")
    percentage: Percent | None = Field(default=None, description="Share of the requests; all of them if not given.")


class FaultAbort(Model):
    """Requests that are answered with an error instead of going on."""

    ONE_OF: ClassVar = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: Int32 | None = Field(default=None, description="Status code of the answer.")
    grpc_status: str | None = Field(default=None, description="gRPC status, such as UNAVAILABLE; for gRPC clients.")
    http2_error: str | None = Field(default=None, description="Not supported by the proxy.")
    percentage: Percent | None = Field(default=None, description="Share of the requests; none of them if not given.")


class HTTPFaultInjection(Model):
    """Faults made on purpose, to see how clients cope."""

    delay: FaultDelay | None = Field(default=None, description="Slow requests; come before aborts.")
    abort: FaultAbort | None = Field(default=None, description="Failing requests. They are not retried.")


class HTTPMirrorPolicy(Model):
    """A copy of the traffic for another service, whose answers are thrown away."""

    destination: Destination = Field(description="The service, or subset of it, that gets the copies.")
    percentage: Percent | None = Field(default=None, description="Share of the requests; all of them if not given.")


class CorsPolicy(Model):
    """What the proxy answers to browsers that ask for another origin's resources."""

    allow_origin: tuple[str, ...] = Field(default=(), description="Deprecated: origins, literally. Use allowOrigins.")
    allow_origins: tuple[StringMatch, ...] = Field(
        default=(), description="Origins that may call; the match is echoed."
    )
    allow_methods: tuple[str, ...] = Field(default=(), description="Content of Access-Control-Allow-Methods.")
    allow_headers: tuple[str, ...] = Field(default=(), description="Content of Access-Control-Allow-Headers.")
    expose_headers: tuple[str, ...] = Field(default=(), description="Content of Access-Control-Expose-Headers.")
    max_age: Duration | None = Field(default=None, description="How long a browser may remember the answer.")
    allow_credentials: NullableBool | None = Field(
        default=None, description="Whether cookies and the like may be sent."
    )
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = Field(
        default="UNSPECIFIED",
        description="Whether preflights of other origins reach the app (FORWARD) or are answered.",
    )


class HTTPRoute(Model):
    """Conditions and what to do with requests that fulfil them. The first route that matches wins."""

    name: str = Field(default="", description="A name for logs and for people.")
    match: tuple[HTTPMatchRequest, ...] = Field(
        default=(), description="Alternatives, one of which must hold; none at all means every request."
    )
    route: tuple[HTTPRouteDestination, ...] = Field(default=(), description="Weighted targets. Not beside redirect.")
    redirect: HTTPRedirect | None = Field(default=None, description="Send the client elsewhere instead of routing.")
    direct_response: HTTPDirectResponse | None = Field(
        default=None, description="Answer in the proxy instead of routing."
    )
    delegate: Delegate | None = Field(default=None, description="Leave the details to another VirtualService.")
    rewrite: HTTPRewrite | None = Field(default=None, description="Change path and host on the way.")
    timeout: Duration | None = Field(default=None, description="Time limit of the whole request; none if not given.")
    retries: HTTPRetry | None = Field(default=None, description="Retries, instead of the default of two.")
    fault: HTTPFaultInjection | None = Field(default=None, description="Faults made on purpose, in the client's proxy.")
    mirror: Destination | None = Field(default=None, description="A service that gets a copy of each request.")
    mirrors: tuple[HTTPMirrorPolicy, ...] = Field(default=(), description="Several services that get copies.")
    mirror_percent: NullableUInt32 | None = Field(
        default=None,
        validation_alias=AliasChoices("mirrorPercent", "mirror_percent"),
        description="Deprecated: whole per cents. Use mirrorPercentage.",
    )
    mirror_percentage: Percent | None = Field(default=None, description="Share of the requests that mirror gets.")
    cors_policy: CorsPolicy | None = Field(default=None, description="Answers to browsers of other origins.")
    headers: Headers | None = Field(default=None, description="Header changes for all targets.")


class L4MatchAttributes(Model):
    """Conditions on a TCP connection; all that are given must hold."""

    destination_subnets: tuple[str, ...] = Field(default=(), description="Addresses or CIDRs that the client called.")
    port: UInt32 = Field(default=0, description="The port that the client called.")
    source_subnet: str = Field(default="", description="Address or CIDR of the client.")
    source_labels: Labels = Field(default_factory=dict, description="Labels of the client's pod. Not at gateways.")
    gateways: tuple[str, ...] = Field(
        default=(), description="Gateways at which this applies; mesh means the sidecars."
    )
    source_namespace: str = Field(default="", description="Namespace of the client's pod. Not at gateways.")


class TLSMatchAttributes(Model):
    """Conditions on a TLS connection that is not terminated; all that are given must hold."""

    sni_hosts: tuple[str, ...] = Field(description="Server names (SNI), exact or *.suffix, within the hosts.")
    destination_subnets: tuple[str, ...] = Field(default=(), description="Addresses or CIDRs that the client called.")
    port: UInt32 = Field(default=0, description="The port that the client called.")
    source_labels: Labels = Field(default_factory=dict, description="Labels of the client's pod. Not at gateways.")
    gateways: tuple[str, ...] = Field(
        default=(), description="Gateways at which this applies; mesh means the sidecars."
    )
    source_namespace: str = Field(default="", description="Namespace of the client's pod. Not at gateways.")


class RouteDestination(Model):
    """One of the weighted targets of TCP or TLS connections."""

    destination: Destination = Field(description="The service, or subset of it, that gets the connection.")
    weight: Int32 = Field(default=0, description="Share of the connections, relative to the sum of the weights.")


class TLSRoute(Model):
    """Targets of TLS connections, chosen by SNI."""

    match: tuple[TLSMatchAttributes, ...] = Field(description="Alternatives, one of which must hold.")
    route: tuple[RouteDestination, ...] = Field(default=(), description="Weighted targets.")


class TCPRoute(Model):
    """Targets of TCP connections."""

    match: tuple[L4MatchAttributes, ...] = Field(default=(), description="Alternatives; none means every connection.")
    route: tuple[RouteDestination, ...] = Field(default=(), description="Weighted targets.")


class VirtualServiceSpec(Model):
    """Hosts, where it applies, and the routes."""

    hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that clients call: names of services, DNS names, or *.suffix."
    )
    gateways: tuple[str, ...] = Field(
        default=(),
        description="Gateways (name or namespace/name) that use these routes; mesh, the default, is all sidecars.",
    )
    http: tuple[HTTPRoute, ...] = Field(
        default=(), description="Routes of HTTP requests; the first that matches is used."
    )
    tls: tuple[TLSRoute, ...] = Field(
        default=(), description="Routes of TLS connections that pass through unterminated."
    )
    tcp: tuple[TCPRoute, ...] = Field(default=(), description="Routes of all other connections.")
    export_to: tuple[str, ...] = Field(
        default=(), description="Namespaces that see this object: . is its own, * is every one (the default)."
    )


class VirtualService(Kind):
    """Routes for one or more hosts."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="VirtualService",
        plural="virtualservices",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("vs",),
        columns=(
            Column("Gateways", ".spec.gateways", "Gateways at which the routes apply."),
            Column("Hosts", ".spec.hosts", "Hosts that the routes are for."),
            AGE,
        ),
    )

    spec: VirtualServiceSpec = Field(default=VirtualServiceSpec(), description="The hosts and their routes.")
