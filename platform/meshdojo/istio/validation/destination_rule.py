"""DestinationRule: what the webhook says. The words are those of a real cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshdojo.istio.models.common import ConnectionPoolSettings, HTTPSettings
from meshdojo.istio.models.destination_rule import (
    ClientTLSSettings,
    ConsistentHashLB,
    DestinationRule,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
)
from meshdojo.istio.validation import names
from meshdojo.istio.validation.findings import Findings

_SUBSET = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_COMMON = ("load_balancer", "connection_pool", "outlier_detection", "tls")


def check(obj: DestinationRule, found: Findings) -> None:
    """Source: ValidateDestinationRule in istio.io/istio/pkg/config/validation."""
    spec = obj.spec
    found.refuse_all(names.wildcard_domain(spec.host))
    if spec.traffic_policy:
        _policy(spec.traffic_policy, found)
    seen: set[str] = set()
    for subset in spec.subsets:
        _subset(subset, found)
        found.refuse_if(subset.name in seen, f"duplicate subset names: {subset.name}")
        seen.add(subset.name)
    found.refuse_all(names.export_to(spec.export_to))
    beyond = any(name != "." for name in spec.export_to)
    if spec.workload_selector and beyond:
        found.refuse("destination rule with workload selector cannot have exportTo beyond current namespace")


def _subset(subset: Subset, found: Findings) -> None:
    if not subset.name:
        found.refuse("subset name cannot be empty")
    else:
        found.refuse_if(not _SUBSET.fullmatch(subset.name), f"subset name is invalid: {subset.name}")
    found.refuse_all(names.tags(subset.labels), listed=True)
    if subset.traffic_policy:
        _policy(subset.traffic_policy, found)


def _policy(policy: TrafficPolicy, found: Findings) -> None:
    given = policy.model_fields_set
    if not any(getattr(policy, name) for name in given):
        found.refuse("traffic policy must have at least one field")
        return
    _settings(policy, found)
    for port in policy.port_level_settings:
        _port(port, found)
    if policy.tunnel:
        _tunnel(policy, found)
    if policy.retry_budget and policy.retry_budget.budget_interval is not None:
        found.refuse_all(names.duration(policy.retry_budget.budget_interval))


def _port(policy: PortTrafficPolicy, found: Findings) -> None:
    found.refuse_if(policy.port is None, "portTrafficPolicy must have valid port")
    if not any(getattr(policy, name) for name in _COMMON):
        found.refuse("port traffic policy must have at least one field")
        return
    _settings(policy, found)


def _settings(policy: TrafficPolicy | PortTrafficPolicy, found: Findings) -> None:
    if policy.outlier_detection:
        _outliers(policy.outlier_detection, found)
    if policy.connection_pool:
        _pool(policy.connection_pool, found)
    if policy.load_balancer:
        _balancer(policy.load_balancer, found)
    if policy.tls:
        _tls(policy.tls, found)


def _tunnel(policy: TrafficPolicy, found: Findings) -> None:
    tunnel = policy.tunnel
    if tunnel is None:
        return
    found.refuse_if(tunnel.protocol not in ("", "CONNECT", "POST"), 'tunnel protocol must be "CONNECT" or "POST"')
    found.refuse_all(names.port(tunnel.target_port))


def _outliers(settings: OutlierDetection, found: Findings) -> None:
    for value in (settings.interval, settings.base_ejection_time):
        found.refuse_all(names.duration(value))
    if settings.consecutive_local_origin_failures and not settings.split_external_local_origin_errors:
        found.refuse(
            "outlier detection consecutive local origin failures is specified, "
            "but split external local origin errors is set to false"
        )
    if settings.consecutive_errors:
        found.warn(
            "outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or "
            "consecutive5xxErrors instead"
        )
    found.refuse_all(names.percentage(settings.max_ejection_percent))
    found.refuse_all(names.percentage(settings.min_health_percent))


def _pool(pool: ConnectionPoolSettings, found: Findings) -> None:
    if pool.tcp is None and pool.http is None:
        found.refuse("connection pool must have at least one field")
        return
    if pool.tcp:
        found.refuse_if(pool.tcp.max_connections < 0, "max connections must be non-negative")
        for value in (pool.tcp.connect_timeout, pool.tcp.max_connection_duration, pool.tcp.idle_timeout):
            found.refuse_all(names.duration(value))
    if pool.http:
        _http(pool.http, found)


def _http(http: HTTPSettings, found: Findings) -> None:
    limits = (
        ("http1 max pending requests", http.http1_max_pending_requests),
        ("http2 max requests", http.http2_max_requests),
        ("max requests per connection", http.max_requests_per_connection),
        ("max retries", http.max_retries),
        ("max concurrent streams", http.max_concurrent_streams),
    )
    for name, value in limits:
        found.refuse_if(value < 0, f"{name} must be non-negative")
    found.refuse_all(names.duration(http.idle_timeout))
    if http.h2_upgrade_policy == "UPGRADE" and http.use_client_protocol:
        found.refuse("use client protocol must not be true when H2UpgradePolicy is UPGRADE")


def _balancer(settings: LoadBalancerSettings, found: Findings) -> None:
    if settings.consistent_hash:
        _hash(settings.consistent_hash, found)
    if settings.locality_lb_setting:
        _locality(settings.locality_lb_setting, found)
    for value in (settings.warmup_duration_secs, settings.warmup.duration if settings.warmup else None):
        found.refuse_all(names.duration(value))


def _hash(settings: ConsistentHashLB, found: Findings) -> None:
    cookie = settings.http_cookie
    if cookie:
        found.refuse_if(not cookie.name, "name required for HttpCookie")
        found.refuse_all(_attributes([one.name for one in cookie.attributes]))
    if settings.minimum_ring_size:
        found.warn(
            "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's RingHash configuration instead"
        )
        if settings.ring_hash or settings.maglev:
            found.refuse("only one of MinimumRingSize or Maglev/Ringhash can be specified")
    if settings.maglev:
        size = settings.maglev.table_size
        found.refuse_if(not size, "tableSize must be set for maglev")
        found.refuse_if(size >= 5000011, "tableSize must be less than 5000011 for maglev")
        found.refuse_if(not _prime(size), "tableSize must be a prime number for maglev")


def _attributes(given: list[str]) -> Iterator[str]:
    for index, name in enumerate(given):
        if not name:
            yield "cookie attribute name cannot be empty"
        elif name in given[:index]:
            yield f"duplicate cookie attribute name: {name}"


def _prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _locality(settings: LocalityLoadBalancerSetting, found: Findings) -> None:
    if settings.distribute and (settings.failover or settings.failover_priority):
        found.refuse("can not simultaneously specify 'distribute' and 'failover' or 'failoverPriority'")
    for entry in settings.distribute:
        total = sum(entry.to.values())
        found.refuse_if(total != 100, f"total locality weight {total} != 100")
    for failover in settings.failover:
        if failover.from_ == failover.to:
            found.refuse(f"locality lb failover settings must specify different regions: {failover.from_}")


def _tls(settings: ClientTLSSettings, found: Findings) -> None:
    files = settings.client_certificate or settings.private_key or settings.ca_certificates or settings.ca_crl
    verified = settings.ca_certificates or settings.credential_name or settings.subject_alt_names
    if settings.insecure_skip_verify and verified:
        found.refuse(
            "cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true"
        )
    if settings.mode in ("SIMPLE", "MUTUAL") and settings.credential_name and files:
        found.refuse("cannot specify client certificates or CA certificate or CA CRL If credentialName is set")
    elif settings.mode == "MUTUAL" and not settings.credential_name:
        found.refuse_if(not settings.client_certificate, "client certificate required for mutual tls")
        found.refuse_if(not settings.private_key, "private key required for mutual tls")
