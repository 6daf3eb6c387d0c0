"""The catalogue of what is served."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.resources import Catalogue, split_api_version, version_priority


def crd(**names: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "ships.fleet.test"},
        "spec": {
            "group": "fleet.test",
            "scope": "Cluster",
            "names": {"plural": "ships", "kind": "Ship", "shortNames": ["sh"], **names},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}},
                {"name": "v2beta1", "served": True, "storage": False},
                {"name": "v1alpha1", "served": False, "storage": False},
            ],
        },
    }


@pytest.mark.parametrize(
    ("name", "api_version"),
    [
        ("pods", "v1"),
        ("pods.v1", "v1"),
        ("deployments.apps", "apps/v1"),
        ("deployments.v1.apps", "apps/v1"),
        ("events.events.k8s.io", "events.k8s.io/v1"),
    ],
)
def test_resources_by_name(name: str, api_version: str) -> None:
    resource = Catalogue.builtin().by_name(name)

    assert resource is not None
    assert resource.api_version == api_version


@pytest.mark.parametrize("name", ["deployments", "pods.apps", "deployments.v2.apps", "nonsense", ""])
def test_names_that_nothing_has(name: str) -> None:
    assert Catalogue.builtin().by_name(name) is None


def test_events_of_both_groups_share_a_storage() -> None:
    catalogue = Catalogue.builtin()

    stored = {resource.storage for resource in catalogue if resource.kind == "Event"}
    assert stored == {"events"}


def test_a_crd_adds_its_served_versions_and_takes_them_away() -> None:
    catalogue = Catalogue.builtin()
    before = catalogue.generation
    assert catalogue.by_name("ships.fleet.test") is None

    catalogue.add_crd(crd())

    preferred = catalogue.by_name("ships.fleet.test")
    beta = catalogue.find("fleet.test", "v2beta1", "ships")
    assert preferred is not None
    assert beta is not None
    assert (preferred.version, preferred.subresources, preferred.singular) == ("v1", ("status",), "ship")
    assert beta.storage == preferred.storage == "ships.fleet.test"
    assert beta.storage_version == "v1"
    assert catalogue.find("fleet.test", "v1alpha1", "ships") is None
    assert catalogue.groups()["fleet.test"] == ["v1", "v2beta1"]
    assert catalogue.generation > before

    catalogue.remove_crd("ships.fleet.test")

    assert catalogue.by_name("ships.fleet.test") is None
    assert "fleet.test" not in catalogue.groups()


def test_a_changed_crd_replaces_what_it_served() -> None:
    catalogue = Catalogue.builtin()
    catalogue.add_crd(crd())
    catalogue.add_crd(crd(shortNames=["boat"]))

    resource = catalogue.by_name("ships.fleet.test")

    assert resource is not None
    assert resource.short_names == ("boat",)


def test_versions_are_ordered_as_kubernetes_does() -> None:
    versions = ["foo", "v1alpha1", "v1beta2", "v10", "v2", "v1beta10", "v11alpha2"]

    ordered = sorted(versions, key=version_priority)

    assert ordered == ["v10", "v2", "v1beta10", "v1beta2", "v11alpha2", "v1alpha1", "foo"]


def test_api_versions() -> None:
    assert split_api_version("v1") == ("", "v1")
    assert split_api_version("networking.istio.io/v1") == ("networking.istio.io", "v1")
