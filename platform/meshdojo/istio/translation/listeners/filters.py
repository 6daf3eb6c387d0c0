"""Network and listener filters that several listeners share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from meshdojo.istio.mesh import MeshConfig
from meshdojo.istio.messages import (
    Cors,
    Filter,
    HttpConnectionManager,
    HTTPFault,
    HttpFilter,
    HttpInspector,
    Int32Range,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
    Percent,
    ProxyProtocol,
    Rds,
    Router,
    TcpProxy,
    TlsInspector,
)
from meshdojo.istio.translation import authorization, build
from meshdojo.istio.translation.authorization import NO_POLICIES, Policies
from meshdojo.istio.translation.listeners.access_log import access_logs

SNIFFED_HTTP = ("http/1.1", "h2c")
RAW, TLS = "raw_buffer", "tls"
CONNECT_TIMEOUT = timedelta(seconds=15)


@dataclass(frozen=True)
class Manager:
    """What tells HTTP connection managers apart. `routes` is a RouteConfiguration, or the name of one (RDS)."""

    stat_prefix: str
    routes: Any
    gateway: bool = False
    inbound: bool = False
    authorization: Policies = NO_POLICIES


def http_connection_manager(mesh: MeshConfig, wanted: Manager) -> Any:
    """As Istio configures it, for each of the three roles."""
    manager = HttpConnectionManager(
        stat_prefix=f"{wanted.stat_prefix};",
        http_filters=[*authorization.http_filters(wanted.authorization), *http_filters()],
        tracing=_tracing(),
        access_log=access_logs(mesh),
        proxy_100_continue=True,
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        path_with_escaped_slashes_action=HttpConnectionManager.KEEP_UNCHANGED,
    )
    manager.use_remote_address.value = wanted.gateway
    manager.normalize_path.value = True
    manager.stream_idle_timeout.CopyFrom(build.duration(build.NEVER))
    if isinstance(wanted.routes, str):
        manager.rds.CopyFrom(Rds(config_source=build.ads(), route_config_name=wanted.routes))
    else:
        manager.route_config.CopyFrom(wanted.routes)
    if wanted.gateway or wanted.inbound:
        manager.server_name = "istio-envoy"
        _client_certificates(manager, wanted)
    return _filter("http_connection_manager", manager)


def _client_certificates(manager: Any, wanted: Manager) -> None:
    details = manager.set_current_client_cert_details
    details.subject.value = True
    details.dns = details.uri = True
    details.cert = wanted.gateway
    # What a client writes into the header itself is dropped by the first proxy on its way.
    manager.forward_client_cert_details = (
        HttpConnectionManager.SANITIZE_SET if wanted.gateway else HttpConnectionManager.APPEND_FORWARD
    )


def _tracing() -> Any:
    """Without a provider nothing is traced, but x-envoy-decorator-operation is set."""
    everything = Percent(value=100)
    return HttpConnectionManager.Tracing(
        client_sampling=everything, random_sampling=everything, overall_sampling=everything
    )


def http_filters() -> list[Any]:
    """Faults, then CORS, then the router; per-route settings switch the first two on."""
    return [
        HttpFilter(name="envoy.filters.http.fault", typed_config=build.packed(HTTPFault())),
        HttpFilter(name="envoy.filters.http.cors", typed_config=build.packed(Cors())),
        HttpFilter(name="envoy.filters.http.router", typed_config=build.packed(Router())),
    ]


def tcp_proxy(mesh: MeshConfig, cluster: str) -> Any:
    """Everything to one cluster."""
    proxy = TcpProxy(stat_prefix=cluster, cluster=cluster, access_log=access_logs(mesh))
    return _filter("tcp_proxy", proxy)


def weighted_tcp_proxy(mesh: MeshConfig, clusters: Iterable[tuple[str, int]]) -> Any:
    """Connections in proportion to the weights; one cluster needs none."""
    found = list(clusters)
    if len(found) == 1:
        return tcp_proxy(mesh, found[0][0])
    weights = [TcpProxy.WeightedCluster.ClusterWeight(name=name, weight=weight) for name, weight in found if weight]
    proxy = TcpProxy(
        stat_prefix=found[0][0],
        weighted_clusters=TcpProxy.WeightedCluster(clusters=weights),
        access_log=access_logs(mesh),
    )
    return _filter("tcp_proxy", proxy)


def _filter(name: str, config: Any) -> Any:
    return Filter(name=f"envoy.filters.network.{name}", typed_config=build.packed(config))


def proxy_protocol() -> Any:
    """The filter that reads the PROXY header, and with it the original destination."""
    return ListenerFilter(name="envoy.filters.listener.proxy_protocol", typed_config=build.packed(ProxyProtocol()))


def tls_inspector(only: Iterable[int] | None = None) -> Any:
    """`only`: the destination ports on which it works; None for all."""
    return _inspector("tls_inspector", TlsInspector(), only)


def http_inspector(only: Iterable[int] | None = None) -> Any:
    """The filter that looks whether a connection speaks HTTP; `only` for these destination ports."""
    return _inspector("http_inspector", HttpInspector(), only)


def _inspector(name: str, config: Any, only: Iterable[int] | None) -> Any:
    found = ListenerFilter(name=f"envoy.filters.listener.{name}", typed_config=build.packed(config))
    if only is not None:
        found.filter_disabled.CopyFrom(_elsewhere(sorted(only)))
    return found


def _elsewhere(ports: list[int]) -> Any:
    """Matches every destination port but these."""
    predicates = [
        ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1)) for port in ports
    ]
    if len(predicates) == 1:
        return ListenerFilterChainMatchPredicate(not_match=predicates[0])
    either = ListenerFilterChainMatchPredicate(or_match=ListenerFilterChainMatchPredicate.MatchSet(rules=predicates))
    return ListenerFilterChainMatchPredicate(not_match=either)
