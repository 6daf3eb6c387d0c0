"""The metrics API: what ``kubectl top`` is told."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.kubernetes.conftest import Cluster, Kubectl

from meshdojo.kubernetes.node import NodeUsage, Usage

ROOT = "/apis/metrics.k8s.io/v1beta1"
PODS = f"{ROOT}/namespaces/default/pods"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
NODE = {"metadata": {"name": "one"}}


def pod(name: str) -> dict[str, object]:
    containers = [{"name": "app", "image": "i"}, {"name": "istio-proxy", "image": "i"}]
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": containers}}


@pytest.fixture(autouse=True, scope="module")
def used(cluster: Cluster, http: httpx.Client) -> Iterator[None]:
    """Two pods, one of which runs."""
    http.post("/api/v1/nodes", json=NODE).raise_for_status()
    http.put("/api/v1/nodes/one/status", json={**NODE, "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}})
    for name in ("runs", "waits"):
        http.post("/api/v1/namespaces/default/pods", json=pod(name)).raise_for_status()
    containers = {"app": Usage(0.002, 20 * 2**20, 15.0), "istio-proxy": Usage(0.0031, 30 * 2**20, 14.5)}
    cluster.node.used = NodeUsage(Usage(0.5, 2**29, 15.0), {("default", "runs"): containers})
    yield
    http.delete("/api/v1/nodes/one")


def test_it_is_discovered_in_both_forms(http: httpx.Client) -> None:
    entries = http.get(ROOT).json()["resources"]
    assert [(one["name"], one["kind"], one["verbs"]) for one in entries] == [
        ("nodes", "NodeMetrics", ["get", "list"]),
        ("pods", "PodMetrics", ["get", "list"]),
    ]
    assert "metrics.k8s.io" in [one["name"] for one in http.get("/apis").json()["groups"]]
    aggregated = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    assert "metrics.k8s.io" in [
        one["metadata"]["name"] for one in http.get("/apis", headers=aggregated).json()["items"]
    ]


def test_a_pod_that_runs_has_metrics(http: httpx.Client) -> None:
    found = http.get(f"{PODS}/runs").json()
    assert (found["kind"], found["apiVersion"], found["window"]) == ("PodMetrics", "metrics.k8s.io/v1beta1", "14.500s")
    assert found["metadata"]["labels"] == {"app": "runs"}
    assert found["containers"] == [
        {"name": "app", "usage": {"cpu": "2000000n", "memory": "20480Ki"}},
        {"name": "istio-proxy", "usage": {"cpu": "3100000n", "memory": "30720Ki"}},
    ]
    assert [one["metadata"]["name"] for one in http.get(f"{ROOT}/pods").json()["items"]] == ["runs"]
    assert http.get(PODS, params={"labelSelector": "app=waits"}).json()["items"] == []


@pytest.mark.parametrize("name", ["waits", "nosuch"])
def test_one_that_does_not_run_has_none(http: httpx.Client, name: str) -> None:
    answer = http.get(f"{PODS}/{name}")
    assert answer.status_code == 404
    assert answer.json()["message"] == f'podmetrics.metrics.k8s.io "default/{name}" not found'


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", f"{ROOT}/services", 404),
        ("GET", f"{PODS}/runs/log", 404),
        ("GET", "/apis/metrics.k8s.io/v1/pods", 404),
        ("GET", f"{ROOT}/namespaces/default/nodes", 404),
        ("DELETE", f"{PODS}/runs", 405),
        ("POST", PODS, 405),
        ("GET", f"{PODS}?watch=1", 405),
    ],
)
def test_nothing_else_is_served(http: httpx.Client, method: str, path: str, code: int) -> None:
    assert http.request(method, path).status_code == code


def test_as_a_table(http: httpx.Client) -> None:
    table = http.get(PODS, headers=TABLE).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Cpu", "Memory", "Window"]
    assert table["rows"][0]["cells"] == ["runs", "5100000n", "51200Ki", "14.500s"]
    assert http.get(f"{ROOT}/nodes/one", headers=TABLE).json()["rows"][0]["cells"][1:3] == ["500000000n", "524288Ki"]


def test_kubectl_top(kubectl: Kubectl) -> None:
    assert kubectl("top", "node").out.split()[-5:] == ["one", "500m", "25%", "512Mi", "50%"]
    assert kubectl("top", "pod", "runs", "--no-headers").out.split() == ["runs", "6m", "50Mi"]
    assert kubectl("top", "pod", "runs", "--containers", "--no-headers").out.split()[-4:] == [
        "runs", "istio-proxy", "4m", "30Mi",
    ]  # fmt: skip
