"""DestinationRule: how a service's pods are grouped and how clients connect to them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field

from meshdojo.istio.models.base import (
    AGE,
    NULLABLE,
    PROTO_UINT32_MAX,
    AnyDuration,
    Column,
    Double,
    Duration,
    Int32,
    Kind,
    KindType,
    Labels,
    Model,
    NullableBool,
    NullableUInt32,
    UInt32,
    UInt64,
    schema,
)
from meshdojo.istio.models.common import ConnectionPoolSettings, PortSelector, WorkloadSelector

NullablePercent = Annotated[Double, Ge(0), Le(100), NULLABLE]


class CookieAttribute(Model):
    """An attribute of the cookie that the proxy sets, such as SameSite."""

    name: str = Field(description="Name of the attribute.")
    value: str = Field(default="", description="Its value, if it has one.")


class HTTPCookie(Model):
    """A cookie that ties a client to a pod. The proxy sets it where a client has none and a ttl is given."""

    name: str = Field(description="The cookie's name.")
    path: str = Field(default="", description="Path of the cookie.")
    ttl: AnyDuration | None = Field(default=None, description="Life of the cookie; 0s makes it a session cookie.")
    attributes: tuple[CookieAttribute, ...] = Field(default=(), description="Further attributes of the cookie.")


class RingHash(Model):
    """The ring hash algorithm."""

    minimum_ring_size: UInt64 = Field(default=0, description="Least number of points on the ring; 1024 if not given.")


class MagLev(Model):
    """The Maglev algorithm: faster look-up, more clients move when pods come and go."""

    table_size: UInt64 = Field(default=0, description="Size of the table, a prime; 65537 if not given.")


class ConsistentHashLB(Model):
    """Requests with the same key go to the same pod, as long as the pods stay."""

    ONE_OF: ClassVar = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: str | None = Field(
        default=None, description="The key is this header. Without it the pod is random."
    )
    http_cookie: HTTPCookie | None = Field(default=None, description="The key is this cookie.")
    use_source_ip: bool | None = Field(default=None, description="The key is the client's address.")
    http_query_parameter_name: str | None = Field(default=None, description="The key is this query parameter.")
    ring_hash: RingHash | None = Field(default=None, description="Use the ring hash algorithm (the default).")
    maglev: MagLev | None = Field(default=None, description="Use the Maglev algorithm.")
    minimum_ring_size: UInt64 = Field(default=0, description="Deprecated: use ringHash.")


class Distribute(Model):
    """Shares of the traffic that starts in a place."""

    from_: str = Field(default="", description="Where the client is: region/zone/sub-zone, * as wildcard.")
    to: dict[str, UInt32] = Field(default_factory=dict, description="Places and their shares, which sum up to 100.")


class Failover(Model):
    """Where traffic goes when a region has no healthy pods left."""

    from_: str = Field(default="", description="The region that fails.")
    to: str = Field(default="", description="The region that takes over.")


class LocalityLoadBalancerSetting(Model):
    """Preference for pods that are near the client."""

    distribute: tuple[Distribute, ...] = Field(
        default=(), description="Explicit shares per place. Not beside failover."
    )
    failover: tuple[Failover, ...] = Field(default=(), description="Regions that stand in for others.")
    failover_priority: tuple[str, ...] = Field(
        default=(), description="Labels whose agreement makes a pod a nearer one."
    )
    enabled: NullableBool | None = Field(default=None, description="On or off, instead of the mesh config's choice.")


class ZoneAwareLbSetting(Model):
    """Traffic stays in the client's zone as far as the zones' sizes allow."""

    enabled: NullableBool | None = Field(default=None, description="On or off, instead of the mesh config's choice.")
    failover: tuple[Failover, ...] = Field(default=(), description="Regions that stand in for others.")
    failover_priority: tuple[str, ...] = Field(
        default=(), description="Labels whose agreement makes a pod a nearer one."
    )
    min_cluster_size: Annotated[int, Ge(1), Le(PROTO_UINT32_MAX), NULLABLE] | None = Field(
        default=None, description="Fewest pods for which zones are looked at."
    )


class WarmupConfiguration(Model):
    """New pods get their share of the traffic bit by bit."""

    duration: Duration = Field(description="Time until a new pod has its full share.")
    minimum_percent: NullablePercent | None = Field(default=None, description="Share to begin with; 10 if not given.")
    aggression: Annotated[Double, Ge(0), NULLABLE] | None = Field(
        default=None, description="Shape of the curve: 1 (the default) is a straight line."
    )


class LoadBalancerSettings(Model):
    """How a pod is chosen for a request."""

    ONE_OF: ClassVar = (("simple", "consistentHash"),)

    simple: Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None = (
        Field(
            default=None,
            description="LEAST_REQUEST (the default) picks the less busy of two random pods, ROUND_ROBIN and RANDOM "
            "do as they say, PASSTHROUGH goes to the address the client asked for. LEAST_CONN is an old name.",
        )
    )
    consistent_hash: ConsistentHashLB | None = Field(default=None, description="The same key leads to the same pod.")
    locality_lb_setting: LocalityLoadBalancerSetting | None = Field(
        default=None, description="Prefer pods that are near."
    )
    zone_aware_lb_setting: ZoneAwareLbSetting | None = Field(
        default=None, description="Stay in the zone where possible."
    )
    warmup_duration_secs: Duration | None = Field(default=None, description="Deprecated: use warmup.")
    warmup: WarmupConfiguration | None = Field(default=None, description="Slow start of new pods.")


class OutlierDetection(Model):
    """Pods that keep failing are left out for a while, as seen by each client for itself."""

    consecutive_errors: Int32 = Field(default=0, description="Deprecated: use consecutive5xxErrors.")
    split_external_local_origin_errors: bool = Field(
        default=False, description="Count failures to connect apart from errors that the service answered with."
    )
    consecutive_local_origin_failures: NullableUInt32 | None = Field(
        default=None, description="Failures to connect in a row that eject a pod, if counted apart."
    )
    consecutive_gateway_errors: NullableUInt32 | None = Field(
        default=None, description="502, 503 or 504 in a row that eject a pod; 0 turns this off."
    )
    consecutive_5xx_errors: NullableUInt32 | None = Field(
        default=None, description="Errors 5xx in a row that eject a pod; 5 if not given, 0 turns this off."
    )
    interval: Duration | None = Field(
        default=None, description="Time between two rounds of judgement; 10s if not given."
    )
    base_ejection_time: Duration | None = Field(
        default=None, description="How long the first ejection lasts; the n-th lasts n times as long. 30s if not given."
    )
    max_ejection_percent: Int32 = Field(
        default=0, description="Most pods that may be out at once; 10 if not given, so a sole pod stays in."
    )
    min_health_percent: Int32 = Field(
        default=0, description="If fewer pods than this are healthy, all get traffic again; 0 turns this off."
    )
    outlier_detection_http_error_codes: tuple[Annotated[int, Ge(100), Le(599)], ...] = Field(
        default=(), description="Status codes that count as failures, instead of all 5xx."
    )


class ClientTLSSettings(Model):
    """TLS towards the service. Between sidecars it needs no settings: it is mutual by itself."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = Field(
        default="DISABLE",
        description="DISABLE speaks plain text, SIMPLE is TLS, MUTUAL also shows a certificate of yours, ISTIO_MUTUAL "
        "shows the one that Istio issues to every workload.",
    )
    client_certificate: str = Field(default="", description="Path of the client's certificate chain (MUTUAL).")
    private_key: str = Field(default="", description="Path of the client's private key (MUTUAL).")
    ca_certificates: str = Field(
        default="", description="Path of the CA certificates that the server is checked against."
    )
    ca_crl: str = Field(default="", description="Path of a list of revoked server certificates.")
    credential_name: str = Field(
        default="", description="Secret with the certificates. For gateways, and with a selector."
    )
    subject_alt_names: tuple[str, ...] = Field(default=(), description="Identities of which the server must have one.")
    sni: str = Field(default="", description="Server name sent in the handshake.")
    insecure_skip_verify: NullableBool | None = Field(
        default=None, description="Do not check the server's certificate."
    )


class PortTrafficPolicy(Model):
    """How clients connect to one port. Nothing is inherited from the settings for all ports."""

    port: PortSelector | None = Field(default=None, description="The service's port that this is for.")
    load_balancer: LoadBalancerSettings | None = Field(default=None, description="How a pod is chosen.")
    connection_pool: ConnectionPoolSettings | None = Field(
        default=None, description="Limits of connections and requests."
    )
    outlier_detection: OutlierDetection | None = Field(default=None, description="Leave out pods that keep failing.")
    tls: ClientTLSSettings | None = Field(default=None, description="TLS towards the service.")


class TunnelSettings(Model):
    """Wraps TCP connections into HTTP CONNECT."""

    protocol: str = Field(default="", description="CONNECT (the default) or POST.")
    target_host: str = Field(description="Host that the proxy at the other end connects to.")
    target_port: UInt32 = Field(description="Port that the proxy at the other end connects to.")


class ProxyProtocol(Model):
    """A PROXY protocol header at the start of each connection."""

    version: Literal["V1", "V2"] = Field(default="V1", description="Version of the header.")


class RetryBudget(Model):
    """A limit on retries that grows with the traffic."""

    percent: NullablePercent | None = Field(
        default=None, description="Retries per hundred active requests; 20 if not given."
    )
    min_retry_concurrency: UInt32 = Field(default=0, description="Retries that are always allowed; 3 if not given.")
    budget_interval: AnyDuration | None = Field(default=None, description="Time over which requests are counted.")


class TrafficPolicy(Model):
    """How clients connect."""

    load_balancer: LoadBalancerSettings | None = Field(default=None, description="How a pod is chosen.")
    connection_pool: ConnectionPoolSettings | None = Field(
        default=None, description="Limits of connections and requests."
    )
    outlier_detection: OutlierDetection | None = Field(default=None, description="Leave out pods that keep failing.")
    tls: ClientTLSSettings | None = Field(default=None, description="TLS towards the service.")
    port_level_settings: Annotated[tuple[PortTrafficPolicy, ...], schema(maxItems=4096)] = Field(
        default=(), description="Settings of single ports. They replace the ones above, they do not add to them."
    )
    tunnel: TunnelSettings | None = Field(default=None, description="Tunnel TCP through HTTP CONNECT.")
    proxy_protocol: ProxyProtocol | None = Field(default=None, description="Send a PROXY protocol header.")
    retry_budget: RetryBudget | None = Field(default=None, description="Limit retries in proportion to the traffic.")


class Subset(Model):
    """A named group of a service's pods, usually a version."""

    name: str = Field(description="Name that routes refer to.")
    labels: Labels = Field(default_factory=dict, description="Labels of the pods; without any, all pods.")
    traffic_policy: TrafficPolicy | None = Field(
        default=None, description="Settings for this subset, over the host's own."
    )


class DestinationRuleSpec(Model):
    """A host, its subsets and how clients connect to it."""

    host: str = Field(
        description="The service's name in the registry, or *.suffix. A short name is completed with this object's "
        "namespace."
    )
    traffic_policy: TrafficPolicy | None = Field(default=None, description="How clients connect to the host.")
    subsets: tuple[Subset, ...] = Field(default=(), description="Named groups of pods that routes can choose.")
    export_to: tuple[str, ...] = Field(
        default=(), description="Namespaces that see this object: . is its own, * is every one (the default)."
    )
    workload_selector: WorkloadSelector | None = Field(
        default=None, description="Clients, by label and in this namespace, for which the rule is; all if not given."
    )


class DestinationRule(Kind):
    """What happens to traffic after routing has chosen a host."""

    TYPE: ClassVar = KindType(
        group="networking.istio.io",
        kind="DestinationRule",
        plural="destinationrules",
        versions=("v1", "v1alpha3", "v1beta1"),
        storage="v1",
        short_names=("dr",),
        columns=(Column("Host", ".spec.host", "The service that the rule is for."), AGE),
    )

    spec: DestinationRuleSpec = Field(description="The host, its subsets and how clients connect to it.")
