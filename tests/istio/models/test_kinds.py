from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.kinds import KINDS, kind_of, parse
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.virtual_service import VirtualService


def manifest(kind: str, group: str = "networking.istio.io", version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found_in_every_version(kind: type[Kind]) -> None:
    for version in kind.TYPE.versions:
        assert kind_of(manifest(kind.TYPE.kind, kind.TYPE.group, version)) is kind


def test_a_foreign_kind_of_the_same_name() -> None:
    assert kind_of(manifest("Gateway", "gateway.networking.k8s.io")) is None
    with pytest.raises(NotParsed, match=r"gateway.networking.k8s.io/v1 Gateway is none of Istio's kinds"):
        parse(manifest("Gateway", "gateway.networking.k8s.io"))


def test_what_is_not_given_is_the_protos_zero() -> None:
    parsed = parse(manifest("VirtualService", hosts=["a"], http=[{"route": [{"destination": {"host": "a"}}]}]))
    assert isinstance(parsed, VirtualService)
    (route,) = parsed.spec.http
    assert (route.route[0].weight, route.route[0].destination.subset, route.match) == (0, "", ())
    assert (route.timeout, route.retries, route.mirror_percent) == (None, None, None)


def test_a_destination_rule() -> None:
    policy = {
        "loadBalancer": {"consistentHash": {"httpCookie": {"name": "user", "ttl": "0s"}}},
        "outlierDetection": {"consecutive5xxErrors": 0},
        "tls": {"mode": "ISTIO_MUTUAL"},
    }
    subsets = [{"name": "v1", "labels": {"version": "v1"}}]
    parsed = parse(manifest("DestinationRule", host="web", trafficPolicy=policy, subsets=subsets))
    assert isinstance(parsed, DestinationRule)
    assert parsed.spec.subsets[0].labels == {"version": "v1"}
    found = parsed.spec.traffic_policy
    assert found is not None
    assert found.load_balancer is not None
    assert found.load_balancer.consistent_hash is not None
    assert found.load_balancer.consistent_hash.http_cookie is not None
    assert found.load_balancer.consistent_hash.http_cookie.ttl is not None
    assert found.outlier_detection is not None
    assert found.outlier_detection.consecutive_5xx_errors == 0


def test_ports_of_a_peer_authentication() -> None:
    spec: dict[str, Any] = {"portLevelMtls": {"8080": {"mode": "DISABLE"}}, "selector": {"matchLabels": {"app": "web"}}}
    parsed = parse(manifest("PeerAuthentication", "security.istio.io", **spec))
    assert isinstance(parsed, PeerAuthentication)
    assert parsed.spec.port_level_mtls["8080"].mode == "DISABLE"
    assert parsed.spec.mtls is None


def test_from_is_a_field_although_python_keeps_the_word() -> None:
    rule = {"from": [{"source": {"namespaces": ["a"]}}], "to": [{"operation": {"methods": ["GET"]}}]}
    parsed = parse(manifest("AuthorizationPolicy", "security.istio.io", rules=[rule]))
    assert isinstance(parsed, AuthorizationPolicy)
    source = parsed.spec.rules[0].from_[0].source
    assert source is not None
    assert source.namespaces == ("a",)
