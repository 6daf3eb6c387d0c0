"""The other tables. Columns and cells were compared with those of a real cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from meshdojo.kubernetes.resources import Catalogue, Resource
from meshdojo.kubernetes.tables import to_table

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
METADATA = {"name": "web", "creationTimestamp": "2026-01-01T11:57:00Z"}
CATALOGUE = Catalogue.builtin()


def resource(name: str) -> Resource:
    found = CATALOGUE.by_name(name)
    assert found is not None
    return found


def cells(name: str, obj: dict[str, Any]) -> list[Any]:
    [row] = to_table(resource(name), [{"metadata": METADATA, **obj}], now=NOW)["rows"]
    found: list[Any] = row["cells"]
    return found


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}}
SELECTOR = {"matchLabels": {"b": "2", "a": "1"}}
WORKLOAD = {"template": TEMPLATE, "selector": SELECTOR}


@pytest.mark.parametrize(
    ("name", "obj", "shown"),
    [
        (
            "deployments.apps",
            {"spec": {"replicas": 2, **WORKLOAD}, "status": {"readyReplicas": 1, "updatedReplicas": 2}},
            ["web", "1/2", 2, 0, "3m", "a,b", "i:1,j", "a=1,b=2"],
        ),
        (
            "replicasets.apps",
            {"spec": {"replicas": 2, **WORKLOAD}, "status": {"replicas": 2, "readyReplicas": 1}},
            ["web", 2, 2, 1, "3m", "a,b", "i:1,j", "a=1,b=2"],
        ),
        (
            "services",
            {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}},
            ["web", "ClusterIP", "10.0.0.1", "<none>", "80/TCP", "3m", "<none>"],
        ),
        (
            "services",
            {
                "spec": {
                    "type": "LoadBalancer",
                    "clusterIP": "10.0.0.1",
                    "selector": {"app": "web"},
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                }
            },
            ["web", "LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP,53/UDP", "3m", "app=web"],
        ),
        (
            "services",
            {
                "spec": {"type": "LoadBalancer", "clusterIP": "None"},
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            },
            ["web", "LoadBalancer", "None", "1.2.3.4", "<none>", "3m", "<none>"],
        ),
        (
            "services",
            {"spec": {"type": "ExternalName", "externalName": "a.b"}},
            ["web", "ExternalName", "<none>", "a.b", "<none>", "3m", "<none>"],
        ),
        ("configmaps", {"data": {"a": "b"}, "binaryData": {"c": "eA=="}}, ["web", 2, "3m"]),
        ("secrets", {"type": "Opaque"}, ["web", "Opaque", 0, "3m"]),
        ("serviceaccounts", {}, ["web", 0, "3m"]),
        ("namespaces", {"status": {"phase": "Active"}}, ["web", "Active", "3m"]),
        (
            "endpoints",
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{i}"} for i in range(5)], "ports": [{"port": 80}]}]},
            ["web", "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more...", "3m"],
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"addressType": "IPv4", "endpoints": None, "ports": None},
            ["web", "IPv4", "<unset>", "<unset>", "3m"],
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
            ["web", "IPv4", "80", "10.0.0.1", "3m"],
        ),
        (
            "rolebindings.rbac.authorization.k8s.io",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
            },
            ["web", "Role/r", "3m", "u", "", "n/s"],
        ),
        ("clusterroles.rbac.authorization.k8s.io", {}, ["web", "2026-01-01T11:57:00Z"]),
        (
            "jobs.batch",
            {
                "spec": {"completions": 1, **WORKLOAD},
                "status": {
                    "succeeded": 1,
                    "startTime": "2026-01-01T11:57:00Z",
                    "completionTime": "2026-01-01T11:57:07Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["web", "Complete", "1/1", "7s", "3m", "a,b", "i:1,j", "a=1,b=2"],
        ),
        (
            "nodes",
            {
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "127.64.0.1"}],
                    "nodeInfo": {"kubeletVersion": "v1"},
                },
            },
            [
                *("web", "Ready,SchedulingDisabled", "<none>", "3m", "v1", "127.64.0.1", "<none>"),
                *("<unknown>", "<unknown>", "<unknown>"),
            ],
        ),
    ],
)
def test_cells(name: str, obj: dict[str, Any], shown: list[Any]) -> None:
    assert cells(name, obj) == shown


EVENT = {
    "type": "Normal",
    "reason": "Pulled",
    "message": " pulled \n",
    "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
    "source": {"component": "kubelet", "host": "n"},
    "firstTimestamp": "2026-01-01T11:50:00Z",
    "lastTimestamp": "2026-01-01T11:59:00Z",
    "count": 3,
}


def test_event() -> None:
    where = ["pod/web", "spec.containers{a}", "kubelet, n"]
    assert cells("events", EVENT) == ["60s", "Normal", "Pulled", *where, "pulled", "10m", 3, "web"]


def test_event_of_a_newer_client() -> None:
    event = {
        "eventTime": "2026-01-01T11:50:00.000001Z",
        "involvedObject": {"kind": "Node"},
        "reportingComponent": "c",
        "reportingInstance": "i",
        "series": {"count": 7, "lastObservedTime": "2026-01-01T11:59:58.000001Z"},
    }
    assert cells("events", event) == ["1s", "", "", "node", "", "c, i", "", "9m59s", 7, "web"]


CRD = {
    "metadata": {"name": "virtualservices.networking.istio.io"},
    "spec": {
        "group": "networking.istio.io",
        "scope": "Namespaced",
        "names": {"plural": "virtualservices", "kind": "VirtualService"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "additionalPrinterColumns": [
                    {"name": "Gateways", "type": "string", "jsonPath": ".spec.gateways"},
                    {"name": "Hosts", "type": "string", "jsonPath": ".spec.hosts"},
                    {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            },
            {"name": "v1alpha3", "served": True, "storage": False},
        ],
    },
}


def test_columns_of_custom_resources() -> None:
    catalogue = Catalogue.builtin()
    catalogue.add_crd(CRD)
    services = catalogue.find("networking.istio.io", "v1", "virtualservices")
    assert services is not None
    table = to_table(services, [{"metadata": METADATA, "spec": {"hosts": ["web"], "count": 3}}], now=NOW)
    assert table["rows"][0]["cells"] == ["web", None, '["web"]', 3, "3m"]
    assert [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Gateways", "string", 0),
        ("Hosts", "string", 0),
        ("Count", "integer", 1),
        ("Age", "date", 0),
    ]


def test_custom_resources_without_columns_have_an_age() -> None:
    catalogue = Catalogue.builtin()
    catalogue.add_crd(CRD)
    services = catalogue.find("networking.istio.io", "v1alpha3", "virtualservices")
    assert services is not None
    assert to_table(services, [{"metadata": METADATA}], now=NOW)["rows"][0]["cells"] == ["web", "3m"]


def test_what_a_row_carries() -> None:
    obj = {"kind": "ConfigMap", "metadata": METADATA, "data": {}}
    configmaps = resource("configmaps")
    [row] = to_table(configmaps, [obj], now=NOW)["rows"]
    assert row["object"] == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": METADATA}
    assert to_table(configmaps, [obj], include_object="Object", now=NOW)["rows"][0]["object"] == obj
    assert "object" not in to_table(configmaps, [obj], include_object="None", now=NOW)["rows"][0]


def test_later_events_of_a_watch_have_no_headers() -> None:
    table = to_table(resource("configmaps"), [], headers=False, resource_version="7", now=NOW)
    assert table["columnDefinitions"] is None
    assert table["metadata"] == {"resourceVersion": "7"}
    assert table["rows"] == []


def test_every_built_in_kind_has_as_many_cells_as_columns() -> None:
    for known in CATALOGUE:
        if "list" in known.verbs:
            table = to_table(known, [{"metadata": METADATA}], now=NOW)
            assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"]), known.name
            assert table["columnDefinitions"][0 if known.plural != "events" else -1]["format"] == "name"
