"""RBAC filters as a real proxy had them for the same policies, and which policies hold for a pod."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format

from meshdojo import network
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.state import State
from meshdojo.istio.translation.authorization import Policies, applying, http_filters, network_filters
from meshdojo.istio.workload import Workload

HERE = Path(__file__).parent
POD = Workload("shop", "staff-1", "127.64.1.1", labels={"app": "staff"})
JSON = dict[str, Any]


def snapshot(*policies: JSON) -> Snapshot:
    state = State()
    for one in policies:
        one["metadata"].setdefault("namespace", "shop")
        state.apply("authorizationpolicies.security.istio.io", None, one)
    return state.snapshot()


def of(*policies: JSON, pod: Workload = POD) -> Policies:
    return applying(snapshot(*policies), pod)


def policy(name: str, namespace: str = "shop", labels: JSON | None = None, **spec: Any) -> JSON:
    selector = {"selector": {"matchLabels": labels}} if labels else {}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {**selector, **spec}}


def plain(message: Any) -> JSON:
    found: JSON = json_format.MessageToDict(message)
    return found


@pytest.mark.parametrize(("kind", "filters"), [("http", http_filters), ("tcp", network_filters)])
def test_the_filters_of_a_real_proxy(kind: str, filters: Any) -> None:
    policies = of(*yaml.safe_load_all((HERE / "authorization.yaml").read_text()))
    recorded = json.loads((HERE / "authorization.json").read_text(), object_hook=with_our_ports)[kind]
    assert [plain(one) for one in filters(policies)] == recorded


def with_our_ports(found: JSON) -> JSON:
    """A recorded message; ports below 1024 are served under another number here."""
    port = found.get("destinationPort")
    return {**found, "destinationPort": network.mapped_port(port)} if port else found


@pytest.mark.parametrize(
    ("candidate", "holds"),
    [
        (policy("a"), True),
        (policy("a", labels={"app": "staff"}), True),
        (policy("a", labels={"app": "other"}), False),
        (policy("a", "elsewhere"), False),
        (policy("a", "istio-system"), True),
        (policy("a", "istio-system", {"app": "staff"}), True),
        (policy("a", "istio-system", {"app": "other"}), False),
    ],
)
def test_which_policies_hold(candidate: JSON, holds: bool) -> None:
    assert bool(of(candidate).configs) is holds


def test_nothing_holds_nothing_is_filtered() -> None:
    assert http_filters(of()) == []
    assert network_filters(of()) == []


def test_an_allow_that_plain_tcp_cannot_express_allows_nothing_there() -> None:
    allow = policy("web", action="ALLOW", rules=[{"to": [{"operation": {"methods": ["GET"]}}]}])
    [found] = network_filters(of(allow))
    assert plain(found)["typedConfig"]["rules"] == {}  # an action that allows, and nothing that matches


def test_a_deny_that_plain_tcp_cannot_express_denies_everything_there() -> None:
    deny = policy("web", action="DENY", rules=[{"to": [{"operation": {"methods": ["GET"]}}]}])
    [found] = network_filters(of(deny))
    [made] = plain(found)["typedConfig"]["rules"]["policies"].values()
    assert made["permissions"] == [{"andRules": {"rules": [{"any": True}]}}]


def test_a_token_is_never_there() -> None:
    allow = policy("web", rules=[{"from": [{"source": {"requestPrincipals": ["*"]}}]}])
    [found] = http_filters(of(allow))
    [made] = plain(found)["typedConfig"]["rules"]["policies"].values()
    assert made["principals"] == [{"andIds": {"ids": [{"orIds": {"ids": [{"notId": {"any": True}}]}}]}}]
