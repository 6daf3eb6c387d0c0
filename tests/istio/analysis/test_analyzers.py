"""The same mistakes, the same messages in the same order as a real cluster's ``istioctl analyze`` gave."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.istio.analysis.analyzers import analyze
from meshdojo.istio.analysis.message import Message
from meshdojo.istio.analysis.source import Place
from meshdojo.istio.analysis.world import World

HERE = Path(__file__).parent
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((HERE / "world.yaml").read_text()))


def codes(found: list[Message]) -> list[str]:
    return [one.code for one in found]


def named(kind: str, name: str) -> dict[str, Any]:
    found = (one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return copy.deepcopy(next(found))


def test_the_words_of_a_real_cluster() -> None:
    assert [str(one) for one in analyze(World.of(OBJECTS))] == (HERE / "messages.txt").read_text().splitlines()


def test_a_right_namespace_has_no_messages() -> None:
    kept = [named("Namespace", "shop"), named("Pod", "web-1"), named("Service", "web"), named("DestinationRule", "web")]
    kept[2]["spec"]["ports"] = kept[2]["spec"]["ports"][:1]
    kept[3]["spec"]["subsets"] = kept[3]["spec"]["subsets"][:1]
    service = {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web", "subset": "v1"}}]}]}
    kept.append({**named("VirtualService", "web"), "spec": service})
    assert analyze(World.of(kept)) == []


def test_a_pod_that_started_before_injection_was_turned_on() -> None:
    pod = named("Pod", "web-1")
    del pod["spec"]["initContainers"]
    (found,) = analyze(World.of([named("Namespace", "shop"), pod]))
    assert str(found).startswith("Warning [IST0103] (Pod shop/web-1) The pod shop/web-1 is missing the Istio proxy.")
    pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
    assert analyze(World.of([named("Namespace", "shop"), pod])) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"hosts": ["a"]}, "http, tcp or tls must be provided in virtual service"),
        ({"host": "a"}, 'unknown field "spec.host"'),
    ],
)
def test_files_are_checked_as_the_webhook_would(spec: dict[str, Any], text: str) -> None:
    wrong = {**named("VirtualService", "web"), "spec": spec}
    (found,) = analyze(World.of([], [(Place("web.yaml"), wrong)], complete=False))
    assert str(found) == f"Error [IST0106] (VirtualService shop/web web.yaml) Schema validation error: {text}"


def test_a_file_takes_the_place_of_the_clusters_object() -> None:
    mended = named("DestinationRule", "web")
    mended["spec"]["subsets"][1]["name"] = "v3"
    before = analyze(World.of(OBJECTS))
    after = analyze(World.of(OBJECTS, [(Place("web.yaml"), mended)]))
    assert 'Referenced host+subset in destinationrule not found: "web+v3"' in {one.text for one in before}
    assert 'Referenced host+subset in destinationrule not found: "web+v3"' not in {one.text for one in after}


def test_pods_that_a_deployment_of_a_file_would_make_count() -> None:
    labels = {"app": "web", "version": "v2"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": []}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-v2", "namespace": "shop"}}
    found = analyze(World.of(OBJECTS, [(Place("d.yaml"), {**deployment, "spec": {"template": template}})]))
    assert "IST0173" in codes(analyze(World.of(OBJECTS)))
    assert "IST0173" not in codes(found)


@pytest.mark.parametrize(
    ("namespace", "spec", "labels"),
    [
        ("shop", {}, None),
        ("shop", {"selector": {"matchLabels": {"app": "none"}}}, "app=none"),
        ("empty", {}, ""),
        ("istio-system", {}, None),
        ("istio-system", {"selector": {"matchLabels": {"app": "web"}}}, None),
        ("istio-system", {"selector": {"matchLabels": {"app": "none"}}}, "app=none"),
    ],
)
def test_policies_that_concern_nobody(namespace: str, spec: dict[str, Any], labels: str | None) -> None:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": spec,
    }
    found = [one.text for one in analyze(World.of([named("Pod", "web-1"), policy])) if one.code == "IST0127"]
    words = "No matching workloads for this resource with the following labels: "
    assert found == ([] if labels is None else [f"{words}{labels}"])


def test_services_outside_are_known_by_their_entries() -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "ext", "namespace": "other"},
        "spec": {"hosts": ["*.ext.example"], "ports": [{"number": 443, "name": "https", "protocol": "HTTPS"}]},
    }
    route = {"route": [{"destination": {"host": "api.ext.example", "port": {"number": 80}}}]}
    service = {**named("VirtualService", "web"), "spec": {"hosts": ["x"], "http": [route]}}
    (found,) = analyze(World.of([entry, service]))
    assert found.text == 'Referenced host:port not found: "api.ext.example:80"'


def test_documents_for_machines() -> None:
    (found,) = analyze(World.of([named("Namespace", "plain")]))
    assert found.document() == {
        "code": "IST0102",
        "documentationUrl": "https://istio.io/v1.31/docs/reference/config/analysis/ist0102/?ref=istioctl-analyze",
        "level": "Info",
        "message": found.text,
        "origin": "Namespace plain",
    }
