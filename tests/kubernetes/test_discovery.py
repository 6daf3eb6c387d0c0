from __future__ import annotations

from typing import Any

from meshdojo.kubernetes import discovery
from meshdojo.kubernetes.resources import Catalogue

CRD = {
    "metadata": {"name": "things.x.example"},
    "spec": {
        "group": "x.example",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"], "categories": ["all-things"]},
        "versions": [
            {"name": "v1beta1", "served": True, "storage": False},
            {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}},
            {"name": "v1alpha1", "served": False, "storage": False},
        ],
    },
}


def catalogue() -> Catalogue:
    found = Catalogue.builtin()
    found.add_crd(CRD)
    return found


def resources_of(document: dict[str, Any], version: str) -> dict[str, Any]:
    versions = [v for item in document["items"] for v in item["versions"] if v["version"] == version]
    return {entry["resource"]: entry for entry in versions[0]["resources"]}


def test_pods_in_the_aggregated_form() -> None:
    pods = resources_of(discovery.aggregated_core(catalogue()), "v1")["pods"]
    assert pods["responseKind"] == {"group": "", "version": "", "kind": "Pod"}
    assert (pods["scope"], pods["singularResource"], pods["shortNames"]) == ("Namespaced", "pod", ["po"])
    below = {entry["subresource"]: entry for entry in pods["subresources"]}
    assert below["exec"]["verbs"] == ["create", "get"]
    assert below["eviction"]["responseKind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert list(below) == sorted(below)


def test_groups_in_the_aggregated_form() -> None:
    groups = {item["metadata"]["name"]: item for item in discovery.aggregated_groups(catalogue())["items"]}
    assert "" not in groups
    assert [v["version"] for v in groups["x.example"]["versions"]] == ["v1", "v1beta1"]
    [thing] = groups["x.example"]["versions"][0]["resources"]
    assert thing["responseKind"] == {"group": "x.example", "version": "v1", "kind": "Thing"}
    assert [entry["subresource"] for entry in thing["subresources"]] == ["status"]


def test_legacy_groups() -> None:
    groups = {group["name"]: group for group in discovery.group_list(catalogue())["groups"]}
    assert groups["x.example"]["preferredVersion"] == {"groupVersion": "x.example/v1", "version": "v1"}
    found = discovery.group(catalogue(), "apps")
    assert found is not None
    assert (found["kind"], found["versions"]) == ("APIGroup", [{"groupVersion": "apps/v1", "version": "v1"}])
    assert discovery.group(catalogue(), "nope") is None
    assert discovery.core_versions("a:1")["versions"] == ["v1"]


def test_legacy_resources() -> None:
    found = discovery.resource_list(catalogue(), "apps", "v1")
    assert found is not None
    entries = {entry["name"]: entry for entry in found["resources"]}
    assert entries["deployments"]["shortNames"] == ["deploy"]
    scale = entries["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert entries["deployments/status"]["kind"] == "Deployment"
    assert discovery.resource_list(catalogue(), "apps", "v2") is None


def test_the_storage_hash_follows_the_storage_version() -> None:
    def digest() -> str:
        found = discovery.resource_list(catalogue(), "x.example", "v1")
        assert found is not None
        return str(found["resources"][0]["storageVersionHash"])

    assert digest() == digest()
    assert len(digest()) == 12
