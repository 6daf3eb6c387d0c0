"""Routes by who calls: they are decided when the caller's proxy gets its configuration."""

from __future__ import annotations

import pytest
from tests.behaviour.test_mirroring import RULE
from tests.behaviour.world import NAMESPACE, OTHER, World, versions

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - match: [{match}]
      route: [{{destination: {{host: server, subset: v2}}}}]
    - route: [{{destination: {{host: server, subset: v1}}}}]
"""
URL = f"http://server.{NAMESPACE}/"


@pytest.mark.parametrize(
    ("match", "client", "other"),
    [
        ("{sourceLabels: {app: other}}", "v1", "v2"),
        ("{sourceLabels: {app: client, version: v1}}", "v2", "v1"),
        ("{sourceLabels: {app: client, version: v9}}", "v1", "v1"),
        (f"{{sourceNamespace: {OTHER}}}", "v1", "v2"),
        (f"{{sourceNamespace: {NAMESPACE}}}", "v2", "v1"),
        (f"{{sourceNamespace: {OTHER}, sourceLabels: {{app: client}}}}", "v1", "v1"),
        ("{sourceLabels: {app: client}}, {sourceLabels: {app: other}}", "v2", "v2"),
    ],
)
def test_each_caller_follows_its_own_routes(world: World, match: str, client: str, other: str) -> None:
    world.apply(RULE + "---" + ROUTES.format(match=match))
    assert versions(world.many(5, URL)) == {client: 5}
    assert versions(world.many(5, URL, source="other")) == {other: 5}


def test_a_caller_without_a_proxy_follows_none(world: World) -> None:
    world.apply(RULE + "---" + ROUTES.format(match="{sourceLabels: {app: other}}"))
    # New connections each time would go anywhere; a kept-alive one stays with its pod.
    assert world.get(URL, source="outside").version in ("v1", "v2")
    world.apply(RULE + "---" + ROUTES.format(match="{sourceLabels: {app: outside}}"))
    assert versions(world.many(5, URL)) == {"v1": 5}


def test_a_claim_in_a_header_is_no_identity(world: World) -> None:
    """The server's proxy tells who called from the certificate; what the client claims is replaced."""
    forged = {"x-forwarded-client-cert": "By=a;URI=spiffe://cluster.local/ns/behaviour-other/sa/default"}
    received = world.get(URL, forged).received["x-forwarded-client-cert"]
    assert received.startswith(f"By=spiffe://cluster.local/ns/{NAMESPACE}/sa/default;Hash=")
    assert received.endswith(f"URI=spiffe://cluster.local/ns/{NAMESPACE}/sa/default")
    assert "x-forwarded-client-cert" not in world.get(URL, forged, source="outside").received
