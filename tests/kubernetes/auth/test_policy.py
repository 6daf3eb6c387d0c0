"""The roles that every cluster has."""

from __future__ import annotations

import pytest

from meshdojo.kubernetes.auth.policy import objects
from meshdojo.kubernetes.auth.rbac import CLUSTER_ROLES, GROUP

ROLES = {obj["metadata"]["name"]: obj for resource, obj in objects() if resource == CLUSTER_ROLES}


@pytest.mark.parametrize("name", ["view", "edit", "admin"])
def test_who_may_see_pods_may_see_what_they_use(name: str) -> None:
    [selector] = ROLES[name]["aggregationRule"]["clusterRoleSelectors"]
    reader = ROLES["system:aggregated-metrics-reader"]
    assert selector["matchLabels"].items() <= reader["metadata"]["labels"].items()
    assert reader["rules"] == [
        {"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}
    ]


def test_a_wider_role_has_what_the_narrower_one_has() -> None:
    for narrow, wide in (("view", "edit"), ("edit", "admin")):
        [selector] = ROLES[wide]["aggregationRule"]["clusterRoleSelectors"]
        assert selector["matchLabels"].items() <= ROLES[narrow]["metadata"]["labels"].items()
    assert f"{GROUP}/aggregate-to-view" not in ROLES["view"]["metadata"]["labels"]
