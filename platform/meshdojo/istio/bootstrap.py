"""Envoy's bootstrap configuration for one pod: plain JSON, so that writing it needs no protobuf.

What is static in a real sidecar is static here: the health listener (15021), the Prometheus listener (15090) and the
agent's port (15020), which carries the rewritten probes of the application (``/app-health/CONTAINER/PROBE``).
Everything else comes over ADS from ``$MESHDOJO_RUN/xds/REVISION.sock``. The admin interface is a Unix socket, as
every user of the machine could reach a port (``/quitquitquit`` is there).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meshdojo import network
from meshdojo.istio.version import VERSION

Json = dict[str, Any]

HEALTH_PORT, STATS_PORT, AGENT_PORT = 15021, 15090, 15020
# What Istio's proxies publish unless proxyStatsMatcher asks for more (pkg/bootstrap of istio, measured).
STATS_PREFIXES = ("reporter=", "cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")
STATS_SUFFIXES = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
STATS_REGEXES = (r"vhost\..*\.route\..*",)
STATS_LAST_PREFIXES = ("component", "istio")
_TYPE = "type.googleapis.com/envoy.extensions"
_HCM = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_OPTIONS = f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class Pod:
    """What the bootstrap needs to know of its pod. `probers` is the value of ISTIO_KUBE_APP_PROBERS, decoded."""

    role: str
    name: str
    namespace: str
    ip: str
    service_account: str
    directory: Path
    xds_socket: Path
    domain: str = ""
    metadata: Json = field(default_factory=dict)
    stats_matcher: Json = field(default_factory=dict)
    probers: Json = field(default_factory=dict)
    redirection: network.Redirection = network.EVERYTHING

    @property
    def admin_socket(self) -> Path:
        """The Unix socket of Envoy's admin interface."""
        return self.directory / "admin.sock"


def build(pod: Pod) -> Json:
    """The whole bootstrap (envoy.config.bootstrap.v3.Bootstrap as JSON)."""
    probes = [_Probe(path, spec) for path, spec in sorted(pod.probers.items())]
    clusters = [_pipe("xds-grpc", pod.xds_socket, http2=True), _pipe("admin", pod.admin_socket)]
    return {
        "application_log_config": {"log_format": {"text_format": "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t"}},
        "node": _node(pod),
        "layered_runtime": _runtime(),
        # Counters of a cluster's traffic appear with its first request.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "stats_config": _stats(pod.stats_matcher, [probe.stats for probe in probes if probe.checked]),
        "admin": {"address": {"pipe": {"path": str(pod.admin_socket), "mode": 0o600}}},
        # The server's side sees the pod as the source of a connection, as on a real network.
        "cluster_manager": {"upstream_bind_config": {"source_address": {"address": pod.ip, "port_value": 0}}},
        "dynamic_resources": _dynamic(),
        "static_resources": {
            "clusters": [*clusters, *(probe.cluster(pod) for probe in probes)],
            "listeners": [
                _listener(pod.ip, HEALTH_PORT, [_to_admin("/healthz/ready", "/ready")]),
                _listener(pod.ip, STATS_PORT, [_to_admin("/stats/prometheus", "/stats/prometheus")]),
                _listener(pod.ip, AGENT_PORT, _agent_routes(probes), probes),
            ],
        },
    }


def _node(pod: Pod) -> Json:
    domain = pod.domain or f"{pod.namespace}.svc.cluster.local"
    metadata = {
        "NAME": pod.name,
        "NAMESPACE": pod.namespace,
        "SERVICE_ACCOUNT": pod.service_account,
        "INSTANCE_IPS": pod.ip,
        "ISTIO_VERSION": VERSION,
        **pod.metadata,
    }
    workload = pod.metadata.get("WORKLOAD_NAME") or pod.name
    return {
        "id": f"{pod.role}~{pod.ip}~{pod.name}.{pod.namespace}~{domain}",
        "cluster": f"{workload}.{pod.namespace}",
        "locality": {},
        "metadata": metadata,
    }


def _runtime() -> Json:
    settings = {
        "envoy.reloadable_features.http_reject_path_with_fragment": False,
        "re2.max_program_size.error_level": 32768,
    }
    return {"layers": [{"name": "global config", "static_layer": settings}, {"name": "admin", "admin_layer": {}}]}


def _dynamic() -> Json:
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "lds_config": ads,
        "cds_config": ads,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "set_node_on_first_message_only": True,
            "transport_api_version": "V3",
            # Envoy's own back-off grows to 30 s; istiod's pod is back much sooner.
            "grpc_services": [
                {
                    "envoy_grpc": {
                        "cluster_name": "xds-grpc",
                        "retry_policy": {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}},
                    }
                }
            ],
        },
    }


def _stats(matcher: Mapping[str, Any], needed: Iterable[str]) -> Json:
    """`matcher` is ProxyConfig.proxyStatsMatcher (inclusionPrefixes, inclusionSuffixes, inclusionRegexps).

    `needed` are prefixes that Envoy itself reads: the health_check filter judges a cluster by its gauges.
    """
    patterns = [
        *_patterns("prefix", (*STATS_PREFIXES, *matcher.get("inclusionPrefixes", ()), *needed, *STATS_LAST_PREFIXES)),
        *_patterns("suffix", (*STATS_SUFFIXES, *matcher.get("inclusionSuffixes", ()))),
        *({"safe_regex": {"regex": one}} for one in (*STATS_REGEXES, *matcher.get("inclusionRegexps", ()))),
    ]
    return {
        "use_all_default_tags": False,
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _TAGS],
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    }


_TAGS = (
    ("cluster_name", r"^cluster(\.(.+);)"),
    ("http_conn_manager_prefix", r"^http\.((.+?;)\.)"),
    ("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
    ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
)


def _patterns(kind: str, values: Iterable[str]) -> list[Json]:
    return [{kind: value} for value in values]


def _pipe(name: str, path: Path, *, http2: bool = False) -> Json:
    cluster = _cluster(name, {"pipe": {"path": str(path)}})
    if http2:
        options = {"@type": _HTTP_OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}}
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    return cluster


def _cluster(name: str, address: Json) -> Json:
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": name,
        "alt_stat_name": f"{name};",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _to_admin(path: str, target: str) -> Json:
    return {"match": {"path": path}, "route": {"cluster": "admin", "prefix_rewrite": target}}


def _listener(ip: str, port: int, routes: list[Json], probes: Iterable[_Probe] = ()) -> Json:
    filters = [one for probe in probes if (one := probe.filter()) is not None]
    manager = {
        "@type": _HCM,
        "stat_prefix": "agent" if port == AGENT_PORT else "stats" if port == STATS_PORT else "health",
        "route_config": {"virtual_hosts": [{"name": "backend", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
            },
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": f"{ip}_{port}",
        "address": {"socket_address": {"address": ip, "port_value": port}},
        "ignore_global_conn_limit": True,
        "filter_chains": [chain],
    }


def _agent_routes(probes: Iterable[_Probe]) -> list[Json]:
    fixed = [_to_admin("/healthz/ready", "/ready"), _to_admin("/stats/prometheus", "/stats/prometheus")]
    return [*fixed, *(probe.route() for probe in probes)]


class _Probe:
    """A probe of the application that the injector moved to the agent's port (``/app-health/CONTAINER/PROBE``).

    An HTTP probe is a route. A TCP or gRPC probe is an active health check of Envoy, whose state the health_check
    filter answers with 200 or 503.
    """

    def __init__(self, path: str, spec: Mapping[str, Any]) -> None:
        self._path = path
        self._http: Mapping[str, Any] | None = spec.get("httpGet")
        self._target = spec.get("tcpSocket") or spec.get("grpc") or {}
        self._grpc = "grpc" in spec
        self._timeout = f"{spec.get('timeoutSeconds') or 1}s"
        self._name = f"app{path.replace('/', '_')}"
        self.checked = self._http is None
        self.stats = f"cluster.{self._name}"

    def cluster(self, pod: Pod) -> Json:
        port = int((self._http or self._target)["port"])
        ip = network.twin(pod.ip) if pod.redirection.takes(port) else pod.ip
        address = {"address": ip, "port_value": network.mapped_port(port)}
        cluster = _cluster(self._name, {"socket_address": address})
        if self._http is None:
            cluster["health_checks"] = [self._health_check()]
        elif self._http.get("scheme") == "HTTPS":  # probes do not verify certificates (kubernetes/pkg/probe/http)
            tls = {"@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"}
            cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
        return cluster

    def _health_check(self) -> Json:
        kind: Json = (
            {"grpc_health_check": {"service_name": self._target.get("service") or ""}}
            if self._grpc
            else {"tcp_health_check": {}}
        )
        often = {"interval": "0.5s", "no_traffic_interval": "0.5s", "unhealthy_threshold": 1, "healthy_threshold": 1}
        return {"timeout": self._timeout, **often, **kind}

    def filter(self) -> Json | None:
        if self._http is not None:
            return None
        config = {
            "@type": f"{_TYPE}.filters.http.health_check.v3.HealthCheck",
            "pass_through_mode": False,
            "cluster_min_healthy_percentages": {self._name: {"value": 100}},
            "headers": [{"name": ":path", "string_match": {"exact": self._path}}],
        }
        return {"name": f"envoy.filters.http.health_check.{self._name}", "typed_config": config}

    def route(self) -> Json:
        if self._http is None:
            return {"match": {"path": self._path}, "direct_response": {"status": 503}}
        target = urlsplit(self._http.get("path") or "/")
        rewrite = target.path + (f"?{target.query}" if target.query else "")
        headers = {one["name"]: one.get("value", "") for one in self._http.get("httpHeaders") or ()}
        host = next((value for name, value in headers.items() if name.lower() == "host"), None)
        route: Json = {"cluster": self._name, "prefix_rewrite": rewrite or "/", "timeout": self._timeout}
        if host is not None:
            route["host_rewrite_literal"] = host
        added = [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in headers.items()
            if name.lower() != "host"
        ]
        return {"match": {"path": self._path}, "route": route, "request_headers_to_add": added}


def write(pod: Pod) -> Path:
    """Write the bootstrap into the pod's directory (made private); the path of the file."""
    pod.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = pod.directory / "envoy.json"
    path.write_text(json.dumps(build(pod), indent=1))
    return path
