"""Tables from Envoy's own answers; the rows are in the form of a real cluster's."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshdojo.istio.istioctl import proxy_config
from meshdojo.istio.istioctl.command import CommandError
from meshdojo.istio.istioctl.main import main
from meshdojo.istio.istioctl.proxyconfig import clusters, listeners, routes, secrets
from meshdojo.istio.istioctl.proxyconfig.dump import Dump, camel, show

JSON = dict[str, Any]
FROM_WEB = {
    "filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/web"}}
}


def http(**config: Any) -> JSON:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def tcp(**config: Any) -> JSON:
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def listener(port: int, *chains: JSON, address: str = "0.0.0.0", **fields: Any) -> JSON:
    socket = {"socket_address": {"address": address, "port_value": port}}
    return {"address": socket, "filter_chains": list(chains), **fields}


def chain(target: JSON, **match: Any) -> JSON:
    return {"filter_chain_match": match, "filters": [target]}


CLUSTERS: list[JSON] = [
    {"name": "outbound|80||web.shop.svc.cluster.local", "type": "EDS", "metadata": FROM_WEB},
    {"name": "outbound|8080||web.shop.svc.cluster.local", "type": "EDS"},
    {"name": "outbound|80|v1|web.shop.svc.cluster.local", "type": "EDS"},
    {"name": "inbound|8080||", "type": "ORIGINAL_DST"},
    {"name": "PassthroughCluster"},
]


def test_clusters_sorted_by_host_subset_and_port() -> None:
    assert clusters.cluster_rows(CLUSTERS) == [
        ("", "8080", "-", "inbound", "ORIGINAL_DST", ""),
        ("PassthroughCluster", "-", "-", "-", "STATIC", ""),
        ("web.shop.svc.cluster.local", "80", "-", "outbound", "EDS", "web.shop"),
        ("web.shop.svc.cluster.local", "8080", "-", "outbound", "EDS", ""),
        ("web.shop.svc.cluster.local", "80", "v1", "outbound", "EDS", ""),
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (clusters.ClusterFilter(), 5),
        (clusters.ClusterFilter(fqdn="web.shop"), 3),
        (clusters.ClusterFilter(port="80"), 2),
        (clusters.ClusterFilter(direction="inbound"), 1),
        (clusters.ClusterFilter(fqdn="web", subset="v1"), 1),
    ],
)
def test_filters_of_clusters(wanted: clusters.ClusterFilter, count: int) -> None:
    assert sum(clusters.chosen(one, wanted) for one in CLUSTERS) == count


def test_endpoints() -> None:
    healthy: JSON = {"address": {"socket_address": {"address": "10.0.0.9", "port_value": 80}}}
    healthy["health_status"] = {"eds_health_status": "HEALTHY"}
    ejected: JSON = {"address": {"pipe": {"path": "/x.sock"}}, "health_status": {"failed_outlier_check": True}}
    statuses: list[JSON] = [
        {"name": "b", "host_statuses": [healthy]},
        {"name": "a", "host_statuses": [ejected]},
        {"name": "c"},
    ]
    assert list(clusters.endpoint_rows(statuses)) == [
        ("10.0.0.9:80", "HEALTHY", "OK", "b"),
        ("unix:///x.sock", "UNKNOWN", "FAILED", "a"),
    ]


def test_the_chains_of_the_capturing_listener_stand_for_ports() -> None:
    sniffed = {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    vip = [{"address_prefix": "10.96.0.9", "prefix_len": 32}]
    capture = listener(
        15001,
        chain(http(rds={"route_config_name": "80"}), destination_port=80, **sniffed),
        chain(tcp(cluster="outbound|443||a.b"), destination_port=443, prefix_ranges=vip),
        address="10.0.0.1",
        default_filter_chain=chain(tcp(cluster="PassthroughCluster")),
    )
    assert listeners.rows([capture]) == [
        ("0.0.0.0", "80", "Trans: raw_buffer; App: http/1.1,h2c", "Route: 80"),
        ("10.96.0.9", "443", "ALL", "Cluster: outbound|443||a.b"),
        ("10.0.0.1", "15001", "ALL", "PassthroughCluster"),
    ]


def test_other_listeners() -> None:
    inbound = {"route_config": {"virtual_hosts": [{"routes": [{"route": {"cluster": "inbound|8080||"}}]}]}}
    health = {"route_config": {"virtual_hosts": [{"routes": [{"match": {"prefix": "/healthz/ready"}}]}]}}
    weighted = {"weighted_clusters": {"clusters": [{"name": "outbound|1||a"}, {"name": "outbound|1||b"}]}}
    found = [
        listener(15021, chain(http(**health))),
        listener(8443, chain(tcp(**weighted), server_names=["a.example"])),
        listener(8080, chain(http(**inbound), transport_protocol="tls"), {"filters": []}),
    ]
    assert listeners.rows(found) == [
        ("0.0.0.0", "8080", "Trans: tls", "Cluster: inbound|8080||"),
        ("0.0.0.0", "8080", "ALL", "Non-HTTP/Non-TCP"),
        ("0.0.0.0", "8443", "SNI: a.example", "Cluster: outbound|1||a, Cluster: outbound|1||b"),
        ("0.0.0.0", "15021", "ALL", "Inline Route: /healthz/ready*"),
    ]


def test_routes() -> None:
    host = {
        "name": "web:80",
        "domains": ["web.shop.svc.cluster.local", "web.shop.svc.cluster.local.", "web", "web.shop.svc", "web.shop"],
        "routes": [
            {"match": {"path": "/e"}, "metadata": FROM_WEB},
            {"match": {"safe_regex": {"regex": "/r.*"}}},
            {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ],
    }
    assert list(routes.rows([{"name": "80", "virtual_hosts": [host]}])) == [
        ("80", "web:80", "web.shop.svc.cluster.local., web + 1 more...", "/e", "web.shop"),
        ("80", "web:80", "web.shop.svc.cluster.local., web + 1 more...", "regex /r.*", ""),
        ("80", "web:80", "web.shop.svc.cluster.local., web + 1 more...", "/*", "404"),
    ]


def certificate(days: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
    name = x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 0xABC, start, start + timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    return base64.b64encode(made).decode()


def test_secrets() -> None:
    found: list[tuple[str, JSON]] = [
        (
            "ACTIVE",
            {
                "name": "default",
                "secret": {"tls_certificate": {"certificate_chain": {"inline_bytes": certificate(36500)}}},
            },
        ),
        (
            "ACTIVE",
            {"name": "ROOTCA", "secret": {"validation_context": {"trusted_ca": {"inline_bytes": certificate(1)}}}},
        ),
        ("WARMING", {"name": "kubernetes://cred"}),
    ]
    rows = list(secrets.rows(found))
    assert rows[0][:6] == ("default", "Cert Chain", "ACTIVE", "true", "abc", "2125-12-08T00:00:00Z")
    assert rows[1][:4] == ("ROOTCA", "CA", "ACTIVE", "false")
    assert rows[2] == ("kubernetes://cred", "", "WARMING", "false", "", "", "")


def config_dump() -> Dump:
    active = {"listener": listener(80, chain(http(rds={"route_config_name": "http.80"})))}
    return Dump(
        [
            {"@type": "x.ClustersConfigDump", "dynamic_active_clusters": [{"cluster": one} for one in CLUSTERS]},
            {"@type": "x.ListenersConfigDump", "dynamic_listeners": [{"active_state": active}, {"warming_state": {}}]},
            {"@type": "x.RoutesConfigDump", "static_route_configs": [{"route_config": {"virtual_hosts": []}}]},
        ]
    )


@pytest.mark.parametrize("command", ["clusters", "listeners", "routes", "secret", "all", "bootstrap"])
@pytest.mark.parametrize("output", ["short", "json", "yaml"])
def test_every_command_prints(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_config, "dump", lambda _: config_dump())
    assert main(["pc", command, "web.shop", "-o", output]) == 0
    assert capsys.readouterr().out.strip()


def test_names_become_protobufs() -> None:
    given = {"lb_policy": "X", "typed_config": {"envoy.some_name": {"max_x": [{"a_b": 1}]}}}
    assert camel(given) == {"lbPolicy": "X", "typedConfig": {"envoy.some_name": {"maxX": [{"aB": 1}]}}}


def test_an_unknown_format() -> None:
    with pytest.raises(CommandError, match='output format "xml" not supported: allowed are short, json and yaml'):
        show({}, "xml")


def test_a_name_is_required(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    content = {
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "c", "user": {}}],
        "current-context": "c",
    }
    kubeconfig.write_text(json.dumps(content))
    assert main(["pc", "clusters", "--kubeconfig", str(kubeconfig)]) == 1
    assert capsys.readouterr().err == "Error: a pod name is required: [<type>/]<name>[.<namespace>]\n"
