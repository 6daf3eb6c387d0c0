"""DestinationRule's traffic policy: which one holds for a cluster, and what it makes of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from meshdojo.istio.messages import (
    CircuitBreakers,
    Cluster,
    CommonHttpProtocolOptions,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    OutlierDetection,
    TcpKeepalive,
    UpstreamConnectionOptions,
)
from meshdojo.istio.models.common import ConnectionPoolSettings, HTTPSettings, KeepAliveTCP
from meshdojo.istio.models.destination_rule import (
    ClientTLSSettings,
    LoadBalancerSettings,
    RetryBudget,
    TrafficPolicy,
    WarmupConfiguration,
)
from meshdojo.istio.models.destination_rule import OutlierDetection as OutlierSettings
from meshdojo.istio.service import Protocol
from meshdojo.istio.translation import build
from meshdojo.istio.translation.scope import Rule

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
RING_SIZE = 1024
_SIMPLE = {
    "ROUND_ROBIN": Cluster.ROUND_ROBIN,
    "RANDOM": Cluster.RANDOM,
    "LEAST_REQUEST": Cluster.LEAST_REQUEST,
    "LEAST_CONN": Cluster.LEAST_REQUEST,
    "UNSPECIFIED": Cluster.LEAST_REQUEST,
}


@dataclass(frozen=True)
class Policy:
    """The parts of a traffic policy that hold for one port of one subset."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierSettings | None = None
    tls: ClientTLSSettings | None = None
    retry_budget: RetryBudget | None = None

    def over(self, policy: TrafficPolicy | None, port: int) -> Policy:
        """This policy with `policy` laid over it. A port's own settings replace all of it, the retry budget as well.

        Source: MergeTrafficPolicy in istio/pilot/pkg/networking/core.
        """
        if policy is None:
            return self
        for own in policy.port_level_settings:
            if own.port is not None and own.port.number == port:
                return Policy(own.load_balancer, own.connection_pool, own.outlier_detection, own.tls)
        return Policy(
            policy.load_balancer or self.load_balancer,
            policy.connection_pool or self.connection_pool,
            policy.outlier_detection or self.outlier_detection,
            policy.tls or self.tls,
            policy.retry_budget or self.retry_budget,
        )


def effective(rule: Rule | None, port: int, subset: str = "") -> Policy:
    """What holds for a port of a host, or of one of its subsets."""
    if rule is None:
        return Policy()
    policy = Policy().over(rule.spec.traffic_policy, port)
    for one in rule.spec.subsets:
        if one.name == subset:
            return policy.over(one.traffic_policy, port)
    return policy


def apply(cluster: Any, policy: Policy, protocol: Protocol, connect_timeout: timedelta) -> None:
    """Make the cluster behave so. TLS is not part of it (see `clusters.outbound`)."""
    pool = policy.connection_pool or ConnectionPoolSettings()
    _connections(cluster, pool, connect_timeout)
    if policy.retry_budget is not None:
        _retry_budget(cluster.circuit_breakers.thresholds[0].retry_budget, policy.retry_budget)
    _http_options(cluster, pool.http or HTTPSettings(), protocol)
    if policy.outlier_detection is not None:
        _outliers(cluster, policy.outlier_detection)
    if cluster.type != Cluster.ORIGINAL_DST:
        _balance(cluster, policy.load_balancer)


def _connections(cluster: Any, pool: ConnectionPoolSettings, connect_timeout: timedelta) -> None:
    tcp, http = pool.tcp, pool.http
    timeout = tcp.connect_timeout if tcp is not None and tcp.connect_timeout is not None else connect_timeout
    cluster.connect_timeout.CopyFrom(build.duration(timeout))
    thresholds = CircuitBreakers.Thresholds(
        max_connections=build.uint32((tcp and tcp.max_connections) or build.UNLIMITED),
        max_pending_requests=build.uint32((http and http.http1_max_pending_requests) or build.UNLIMITED),
        max_requests=build.uint32((http and http.http2_max_requests) or build.UNLIMITED),
        max_retries=build.uint32((http and http.max_retries) or build.UNLIMITED),
    )
    cluster.circuit_breakers.CopyFrom(CircuitBreakers(thresholds=[thresholds]))
    if tcp is not None and tcp.tcp_keepalive is not None:
        cluster.upstream_connection_options.CopyFrom(_keepalive(tcp.tcp_keepalive))


def _retry_budget(found: Any, settings: RetryBudget) -> None:
    """It takes the place of max_retries. Source: applyRetryBudget in istio/pilot/pkg/networking/core, measured."""
    found.budget_percent.value = 20 if settings.percent is None else settings.percent
    found.min_retry_concurrency.value = settings.min_retry_concurrency or 3


def _keepalive(settings: KeepAliveTCP) -> Any:
    keepalive = TcpKeepalive()
    if settings.probes:
        keepalive.keepalive_probes.value = settings.probes
    if settings.time is not None:
        keepalive.keepalive_time.value = int(settings.time.total_seconds())
    if settings.interval is not None:
        keepalive.keepalive_interval.value = int(settings.interval.total_seconds())
    return UpstreamConnectionOptions(tcp_keepalive=keepalive)


def _http_options(cluster: Any, settings: HTTPSettings, protocol: Protocol) -> None:
    common = CommonHttpProtocolOptions()
    if settings.idle_timeout is not None:
        common.idle_timeout.CopyFrom(build.duration(settings.idle_timeout))
    if settings.max_requests_per_connection:
        common.max_requests_per_connection.value = settings.max_requests_per_connection
    options = HttpProtocolOptions(common_http_protocol_options=common)
    http2 = Http2ProtocolOptions()
    if settings.max_concurrent_streams:
        http2.max_concurrent_streams.value = settings.max_concurrent_streams
    if protocol.is_http2 or (settings.h2_upgrade_policy == "UPGRADE" and protocol is Protocol.HTTP):
        options.explicit_http_config.http2_protocol_options.CopyFrom(http2)
    elif protocol is Protocol.AUTO or settings.use_client_protocol:
        options.use_downstream_protocol_config.http_protocol_options.CopyFrom(Http1ProtocolOptions())
        options.use_downstream_protocol_config.http2_protocol_options.CopyFrom(http2)
    else:
        options.explicit_http_config.http_protocol_options.CopyFrom(Http1ProtocolOptions())
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(build.packed(options))


def _outliers(cluster: Any, settings: OutlierSettings) -> None:
    """Source: applyOutlierDetection in istio/pilot/pkg/networking/core."""
    found = OutlierDetection(enforcing_success_rate=build.uint32(0))
    five, gateway = settings.consecutive_5xx_errors, settings.consecutive_gateway_errors
    if five is None and settings.consecutive_errors:
        five = settings.consecutive_errors
    if five is not None:
        found.consecutive_5xx.value = five
        found.enforcing_consecutive_5xx.value = 100 if five else 0
    if gateway is not None:
        found.consecutive_gateway_failure.value = gateway
        found.enforcing_consecutive_gateway_failure.value = 100 if gateway else 0
    if settings.interval is not None:
        found.interval.CopyFrom(build.duration(settings.interval))
    if settings.base_ejection_time is not None:
        found.base_ejection_time.CopyFrom(build.duration(settings.base_ejection_time))
    if settings.max_ejection_percent:
        found.max_ejection_percent.value = settings.max_ejection_percent
    if settings.split_external_local_origin_errors:
        found.split_external_local_origin_errors = True
        if settings.consecutive_local_origin_failures:
            found.consecutive_local_origin_failure.value = settings.consecutive_local_origin_failures
            found.enforcing_consecutive_local_origin_failure.value = 100
        found.enforcing_local_origin_success_rate.value = 0
    cluster.outlier_detection.CopyFrom(found)
    cluster.common_lb_config.healthy_panic_threshold.value = float(settings.min_health_percent)


def _balance(cluster: Any, settings: LoadBalancerSettings | None) -> None:
    cluster.lb_policy = Cluster.LEAST_REQUEST
    if settings is None:
        return
    if settings.simple == "PASSTHROUGH":
        cluster.type = Cluster.ORIGINAL_DST
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
        cluster.ClearField("eds_cluster_config")
        cluster.ClearField("load_assignment")
    elif settings.simple is not None:
        cluster.lb_policy = _SIMPLE[settings.simple]
    elif (hashing := settings.consistent_hash) is not None:
        if hashing.maglev is not None:
            cluster.lb_policy = Cluster.MAGLEV
            if hashing.maglev.table_size:
                cluster.maglev_lb_config.table_size.value = hashing.maglev.table_size
            return
        cluster.lb_policy = Cluster.RING_HASH
        ring = hashing.ring_hash.minimum_ring_size if hashing.ring_hash else hashing.minimum_ring_size
        cluster.ring_hash_lb_config.minimum_ring_size.value = ring or RING_SIZE
    _warm_up(cluster, settings)


def _warm_up(cluster: Any, settings: LoadBalancerSettings) -> None:
    """Only ROUND_ROBIN and LEAST_REQUEST know a slow start; with the others the field does nothing, as in Istio."""
    warmup = settings.warmup
    if warmup is None and settings.warmup_duration_secs is not None:
        warmup = WarmupConfiguration(duration=settings.warmup_duration_secs)
    if warmup is None or cluster.lb_policy not in (Cluster.ROUND_ROBIN, Cluster.LEAST_REQUEST):
        return
    round_robin = cluster.lb_policy == Cluster.ROUND_ROBIN
    start = (cluster.round_robin_lb_config if round_robin else cluster.least_request_lb_config).slow_start_config
    start.slow_start_window.CopyFrom(build.duration(warmup.duration))
    if warmup.minimum_percent is not None:
        start.min_weight_percent.value = warmup.minimum_percent
    if warmup.aggression is not None:
        start.aggression.default_value = warmup.aggression
        start.aggression.runtime_key = "warmup"  # Envoy wants one; nothing is set under it
