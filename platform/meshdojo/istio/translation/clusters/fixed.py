"""Clusters that do not stand for a service: traffic to unknown hosts, and traffic that must not go anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meshdojo.istio.messages import (
    CircuitBreakers,
    Cluster,
    CommonHttpProtocolOptions,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from meshdojo.istio.translation import build
from meshdojo.istio.translation.clusters.policy import HTTP_OPTIONS

PASSTHROUGH, BLACK_HOLE = "PassthroughCluster", "BlackHoleCluster"
_IDLE = timedelta(seconds=300)


def black_hole(connect_timeout: timedelta) -> Any:
    """The cluster without endpoints, for what must not be reached."""
    return Cluster(
        name=BLACK_HOLE,
        alt_stat_name=f"{BLACK_HOLE};",
        type=Cluster.STATIC,
        connect_timeout=build.duration(connect_timeout),
    )


def passthrough(connect_timeout: timedelta) -> Any:
    """To where the application wanted to go (the original destination, as the PROXY header told)."""
    everything = build.uint32(build.UNLIMITED)
    thresholds = CircuitBreakers.Thresholds(
        max_connections=everything, max_pending_requests=everything, max_requests=everything, max_retries=everything
    )
    found = Cluster(
        name=PASSTHROUGH,
        alt_stat_name=f"{PASSTHROUGH};",
        type=Cluster.ORIGINAL_DST,
        lb_policy=Cluster.CLUSTER_PROVIDED,
        connect_timeout=build.duration(connect_timeout),
        circuit_breakers=CircuitBreakers(thresholds=[thresholds]),
    )
    options = HttpProtocolOptions(
        common_http_protocol_options=CommonHttpProtocolOptions(idle_timeout=build.duration(_IDLE))
    )
    options.use_downstream_protocol_config.http_protocol_options.CopyFrom(Http1ProtocolOptions())
    options.use_downstream_protocol_config.http2_protocol_options.CopyFrom(Http2ProtocolOptions())
    found.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(build.packed(options))
    return found
