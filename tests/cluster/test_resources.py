"""Names of resources and their paths."""

from __future__ import annotations

import pytest

from meshdojo.cluster.resources import BUILT_IN, Name, Resource


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pods", Name("pods")),
        ("pods.v1", Name("pods", "", "v1")),
        ("deployments.apps", Name("deployments", "apps")),
        ("deployments.v1.apps", Name("deployments", "apps", "v1")),
        ("virtualservices.networking.istio.io", Name("virtualservices", "networking.istio.io")),
        ("wasmplugins.v1alpha1.extensions.istio.io", Name("wasmplugins", "extensions.istio.io", "v1alpha1")),
        ("things.v1ish.example.com", Name("things", "v1ish.example.com")),
    ],
)
def test_names(text: str, name: Name) -> None:
    assert Name.parse(text) == name


def test_a_name_reads_as_it_is_written() -> None:
    assert [str(Name.parse(text)) for text in ("pods", "deployments.v1.apps")] == ["pods", "deployments.apps"]


def test_paths() -> None:
    pods = Resource("", "v1", "pods", "Pod", True)
    nodes = Resource("", "v1", "nodes", "Node", False)
    roles = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", True)
    assert pods.path() == "/api/v1/pods"
    assert pods.path("default", "web", "log") == "/api/v1/namespaces/default/pods/web/log"
    assert nodes.path("ignored", "a") == "/api/v1/nodes/a"
    # Names of roles may hold what a path cannot.
    assert roles.path("x", "a/b c").endswith("/namespaces/x/roles/a%2Fb%20c")
    assert (roles.name, roles.api_version) == ("roles.rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1")


def test_no_kind_is_built_in_twice() -> None:
    names = [one.name for one in BUILT_IN]
    assert len(names) == len(set(names))
