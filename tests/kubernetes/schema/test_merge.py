from __future__ import annotations

import pytest

from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.schema.merge import merge_key, retains_keys

CATALOGUE = Catalogue.builtin()


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [
        ("pods", "spec.containers", "name"),
        ("deployments.apps", "spec.template.spec.containers", "name"),
        ("deployments.apps", "spec.template.spec.containers.ports", "containerPort"),
        ("deployments.apps", "spec.template.spec.containers.env", "name"),
        ("deployments.apps", "spec.template.spec.containers.volumeMounts", "mountPath"),
        ("deployments.apps", "spec.template.spec.volumes", "name"),
        ("deployments.apps", "status.conditions", "type"),
        ("services", "spec.ports", "port"),
        ("serviceaccounts", "secrets", "name"),
        ("pods", "metadata.ownerReferences", "uid"),
        ("pods", "metadata.finalizers", ""),
        ("deployments.apps", "spec.template.spec.containers.args", None),
        ("deployments.apps", "spec.template.spec.tolerations", None),
        ("pods", "spec.nope.deep", None),
        ("pods", "", None),
    ],
)
def test_merge_keys(name: str, path: str, key: str | None) -> None:
    resource = CATALOGUE.by_name(name)
    assert resource is not None
    assert merge_key(resource, tuple(path.split(".")) if path else ()) == key


def test_retained_keys() -> None:
    deployments, pods = CATALOGUE.by_name("deployments.apps"), CATALOGUE.by_name("pods")
    assert deployments is not None
    assert pods is not None
    assert retains_keys(deployments, ("spec", "strategy"))
    assert not retains_keys(pods, ("spec", "containers"))
