from __future__ import annotations

from typing import Any

import pytest
from tests.istio.world import Pod, pod_object, service_objects, snapshot

from meshdojo.istio.ca import CertificateAuthority
from meshdojo.istio.messages import Cluster, ClusterLoadAssignment, HttpProtocolOptions
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.resource import CDS, EDS
from meshdojo.istio.translation.clusters.policy import HTTP_OPTIONS
from meshdojo.istio.translation.translator import Translation

PROXY = Proxy("sidecar", "127.64.1.1", "client", "fleet")
AUTHORITY = CertificateAuthority.create()
HOST = "web.fleet.svc.cluster.local"
WEB = f"outbound|8080||{HOST}"
MISSING = 4294967295


def rule(policy: str = "", subsets: str = "", host: str = "web") -> str:
    parts = [f"host: {host}", *([f"trafficPolicy: {policy}"] if policy else []), *([subsets] if subsets else [])]
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web}}
spec: {{{", ".join(parts)}}}
"""


def pods(*versions: str, sidecar: bool = True) -> str:
    """Pods web-0, web-1, … of these versions, and the service web in front of them."""
    import yaml

    labels = {"security.istio.io/tlsMode": "istio"} if sidecar else {}
    found = [
        pod_object(f"web-{number}", "fleet", f"127.64.1.{number + 10}", {"version": one, **labels}, 8080, sidecar)
        for number, one in enumerate(versions)
    ]
    behind = [Pod(one["metadata"]["name"], one["status"]["podIP"], None, None) for one in found]  # type: ignore[arg-type]
    ports = [("http", 8080, 8080), ("http-low", 80, 80), ("grpc", 9090, 9090), ("other", 7070, 7070)]
    service = service_objects("web", "127.200.1.1", {"app": "web"}, behind, ports)
    return f"{service}\n---\n{yaml.safe_dump_all(found)}"


def cluster(objects: str, name: str = WEB) -> Any:
    translation = Translation(snapshot(objects), AUTHORITY)
    return translation.resources(PROXY, CDS, [name])[name].decode(Cluster)


def endpoints(objects: str, name: str = WEB) -> list[tuple[str, int, bool]]:
    """(address, port, whether by mutual TLS) of a cluster."""
    translation = Translation(snapshot(objects), AUTHORITY)
    assignment = translation.resources(PROXY, EDS, [name])[name].decode(ClusterLoadAssignment)
    return [
        (
            one.endpoint.address.socket_address.address,
            one.endpoint.address.socket_address.port_value,
            "envoy.transport_socket_match" in one.metadata.filter_metadata,
        )
        for locality in assignment.endpoints
        for one in locality.lb_endpoints
    ]


def test_without_a_rule_requests_go_to_the_less_busy_pod_without_limits() -> None:
    found = cluster(pods("v1"))
    assert found.lb_policy == Cluster.LEAST_REQUEST
    assert found.connect_timeout.seconds == 10
    [limits] = found.circuit_breakers.thresholds
    assert limits.max_connections.value == limits.max_pending_requests.value == MISSING
    assert not found.HasField("outlier_detection")
    assert found.common_lb_config.healthy_panic_threshold.value == 0


def test_mutual_tls_is_offered_to_pods_that_have_a_sidecar() -> None:
    found = cluster(pods("v1"))
    assert [one.name for one in found.transport_socket_matches] == ["tlsMode-istio", "tlsMode-disabled"]
    assert endpoints(pods("v1")) == [("127.64.1.10", 8080, True)]
    assert endpoints(pods("v1", sidecar=False)) == [("127.64.1.10", 8080, False)]


def test_low_ports_are_called_where_they_are_really_served() -> None:
    assert endpoints(pods("v1"), f"outbound|80||{HOST}") == [("127.64.1.10", 61080, True)]


def test_subsets_have_the_pods_with_their_labels() -> None:
    subsets = "subsets: [{name: a, labels: {version: v1}}, {name: b, labels: {version: v3}}]"
    objects = f"{pods('v1', 'v2')}\n---\n{rule(subsets=subsets)}"
    assert [one[0] for one in endpoints(objects, f"outbound|8080|a|{HOST}")] == ["127.64.1.10"]
    assert endpoints(objects, f"outbound|8080|b|{HOST}") == []
    assert len(endpoints(objects)) == 2


@pytest.mark.parametrize(
    ("balancer", "policy"),
    [
        ("simple: ROUND_ROBIN", Cluster.ROUND_ROBIN),
        ("simple: RANDOM", Cluster.RANDOM),
        ("simple: LEAST_CONN", Cluster.LEAST_REQUEST),
        ("consistentHash: {httpHeaderName: x}", Cluster.RING_HASH),
        ("consistentHash: {httpHeaderName: x, maglev: {}}", Cluster.MAGLEV),
    ],
)
def test_load_balancers(balancer: str, policy: int) -> None:
    assert cluster(f"{pods('v1')}\n---\n{rule(f'{{loadBalancer: {{{balancer}}}}}')}").lb_policy == policy


def test_a_ports_own_settings_replace_the_general_ones() -> None:
    policy = (
        "{loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}}, "
        "portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 7}}}]}"
    )
    objects = f"{pods('v1')}\n---\n{rule(policy)}"
    general, own = cluster(objects), cluster(objects, f"outbound|80||{HOST}")
    assert (general.lb_policy, general.circuit_breakers.thresholds[0].max_connections.value) == (Cluster.RANDOM, 5)
    assert (own.lb_policy, own.circuit_breakers.thresholds[0].max_connections.value) == (Cluster.LEAST_REQUEST, 7)


def test_a_subsets_settings_lie_over_the_hosts() -> None:
    policy = "{loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 5}}}"
    subset = "subsets: [{name: a, labels: {}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 2}}}}]"
    found = cluster(f"{pods('v1')}\n---\n{rule(policy, subset)}", f"outbound|8080|a|{HOST}")
    assert (found.lb_policy, found.circuit_breakers.thresholds[0].max_connections.value) == (Cluster.RANDOM, 2)


def test_outlier_detection() -> None:
    policy = (
        "{outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 5s, maxEjectionPercent: 100}}"
    )
    found = cluster(f"{pods('v1')}\n---\n{rule(policy)}").outlier_detection
    assert (found.consecutive_5xx.value, found.enforcing_consecutive_5xx.value) == (3, 100)
    assert (found.interval.seconds, found.base_ejection_time.seconds, found.max_ejection_percent.value) == (1, 5, 100)
    assert found.enforcing_success_rate.value == 0


@pytest.mark.parametrize(
    ("balancer", "config", "expected"),
    [
        ("{simple: ROUND_ROBIN, warmup: {duration: 60s, minimumPercent: 20, aggression: 1.5}}", "round", (60, 20, 1.5)),
        ("{simple: LEAST_REQUEST, warmup: {duration: 45s}}", "least", (45, 0, 0)),
        ("{warmup: {duration: 45s}}", "least", (45, 0, 0)),
        ("{warmupDurationSecs: 30s}", "least", (30, 0, 0)),
        ("{simple: RANDOM, warmup: {duration: 60s}}", "", None),
        ("{consistentHash: {httpHeaderName: x-user}, warmup: {duration: 60s}}", "", None),
    ],
)
def test_new_pods_warm_up(balancer: str, config: str, expected: Any) -> None:
    """As measured on a real istiod: balancers that choose by a hash or at random have no slow start."""
    found = cluster(f"{pods('v1')}\n---\n{rule(f'{{loadBalancer: {balancer}}}')}")
    parts = {"round": found.round_robin_lb_config, "least": found.least_request_lb_config}
    given = {
        name: (
            part.slow_start_config.slow_start_window.seconds,
            part.slow_start_config.min_weight_percent.value,
            part.slow_start_config.aggression.default_value,
        )
        for name, part in parts.items()
        if part.HasField("slow_start_config")
    }
    assert given == ({config: expected} if expected else {})


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("{}", (20, 3)), ("{percent: 30, minRetryConcurrency: 5}", (30, 5)), ("{percent: 0}", (0, 3))],
)
def test_a_budget_for_retries(budget: str, expected: Any) -> None:
    found = cluster(f"{pods('v1')}\n---\n{rule(f'{{retryBudget: {budget}}}')}").circuit_breakers.thresholds[0]
    assert (found.retry_budget.budget_percent.value, found.retry_budget.min_retry_concurrency.value) == expected


def test_a_ports_own_settings_leave_no_budget_for_retries() -> None:
    policy = "{retryBudget: {}, portLevelSettings: [{port: {number: 8080}, loadBalancer: {simple: RANDOM}}]}"
    found = cluster(f"{pods('v1')}\n---\n{rule(policy)}").circuit_breakers.thresholds[0]
    assert not found.HasField("retry_budget")


def test_tls_modes() -> None:
    def socket(mode: str) -> Any:
        return cluster(f"{pods('v1')}\n---\n{rule(f'{{tls: {{mode: {mode}}}}}')}")

    assert not socket("DISABLE").transport_socket_matches
    assert not socket("DISABLE").HasField("transport_socket")
    assert socket("ISTIO_MUTUAL").transport_socket.name == "envoy.transport_sockets.tls"
    assert socket("SIMPLE").transport_socket.name == "envoy.transport_sockets.tls"


@pytest.mark.parametrize(
    ("port", "protocol"),
    [(8080, "http_protocol_options"), (9090, "http2_protocol_options")],
)
def test_the_ports_protocol_is_spoken_upstream(port: int, protocol: str) -> None:
    found = cluster(pods("v1"), f"outbound|{port}||{HOST}")
    options = HttpProtocolOptions.FromString(found.typed_extension_protocol_options[HTTP_OPTIONS].value)
    assert options.explicit_http_config.HasField(protocol)


def test_a_sniffed_port_speaks_what_the_client_speaks() -> None:
    found = cluster(pods("v1"), f"outbound|7070||{HOST}")
    options = HttpProtocolOptions.FromString(found.typed_extension_protocol_options[HTTP_OPTIONS].value)
    assert options.HasField("use_downstream_protocol_config")


def test_wildcard_rules_hold_unless_there_is_an_exact_one() -> None:
    wide = rule("{loadBalancer: {simple: RANDOM}}", host='"*.fleet.svc.cluster.local"')
    exact = rule("{loadBalancer: {simple: ROUND_ROBIN}}").replace("name: web", "name: exact")
    assert cluster(f"{pods('v1')}\n---\n{wide}").lb_policy == Cluster.RANDOM
    assert cluster(f"{pods('v1')}\n---\n{wide}\n---\n{exact}").lb_policy == Cluster.ROUND_ROBIN


def test_the_clients_namespace_decides_before_the_services() -> None:
    own = rule("{loadBalancer: {simple: RANDOM}}", host=HOST).replace("name: web", "name: own, namespace: other")
    general = rule("{loadBalancer: {simple: ROUND_ROBIN}}")
    translation = Translation(snapshot(f"{pods('v1')}\n---\n{own}\n---\n{general}"), AUTHORITY)
    other = Proxy("sidecar", "127.64.1.2", "client", "other")
    balancers = [translation.resources(one, CDS, [WEB])[WEB].decode(Cluster).lb_policy for one in (PROXY, other)]
    assert balancers == [Cluster.ROUND_ROBIN, Cluster.RANDOM]


def test_dns_entries_are_resolved_by_the_proxy() -> None:
    found = cluster(
        """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec: {hosts: [out.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
""",
        "outbound|80||out.example",
    )
    assert found.type == Cluster.STRICT_DNS
    [locality] = found.load_assignment.endpoints
    assert locality.lb_endpoints[0].endpoint.address.socket_address.address == "out.example"
    assert not found.transport_socket_matches
