"""VirtualServices that leave their routes to others, merged."""

from __future__ import annotations

from typing import Any

import pytest
from tests.istio.world import feed

from meshdojo.istio.models.virtual_service import HTTPRoute
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.state import State

TO_WEB = "route: [{destination: {host: web}}]"


def virtual_service(name: str, http: str, *, hosts: str = "", namespace: str = "fleet", more: str = "") -> str:
    named = f"hosts: [{hosts}], " if hosts else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{named}http: {http}{more}}}
---
"""


def merged(*texts: str) -> Snapshot:
    state = State()
    feed(state, "".join(texts))
    return state.snapshot()


def routes(root: str, *delegates: str) -> list[HTTPRoute]:
    """The routes of the only VirtualService that is left."""
    [one] = merged(virtual_service("root", root, hosts="web"), *delegates).virtual_services
    return list(one.object.spec.http)


def paths(route: HTTPRoute) -> list[Any]:
    return [
        (match.uri.exact or match.uri.prefix or match.uri.regex) if match.uri else None for match in route.match
    ] or [None]


def test_the_delegates_routes_take_the_place_of_the_one_that_points_to_them() -> None:
    delegate = virtual_service("part", f"[{{name: a, match: [{{uri: {{exact: /x/a}}}}], {TO_WEB}}}, {{{TO_WEB}}}]")
    root = f"[{{name: x, match: [{{uri: {{prefix: /x}}}}], delegate: {{name: part}}}}, {{name: rest, {TO_WEB}}}]"
    found = routes(root, delegate)
    assert [(route.name, paths(route)) for route in found] == [("x-a", ["/x/a"]), ("x", ["/x"]), ("rest", [None])]
    assert [one.destination.host for one in found[0].route] == ["web.fleet.svc.cluster.local"]
    assert all(route.delegate is None for route in found)


@pytest.mark.parametrize(
    ("root", "leaf", "expected"),
    [
        ("{uri: {prefix: /x}}", "{uri: {prefix: /x/y}}", ["/x/y"]),
        ("{uri: {prefix: /x/y}}", "{uri: {prefix: /x}}", None),
        ("{uri: {prefix: /x}}", "{uri: {exact: /other}}", None),
        ("{uri: {exact: /x}}", "{uri: {exact: /x}}", ["/x"]),
        ("{uri: {exact: /x}}", "{uri: {prefix: /x}}", None),
        ("{uri: {regex: /x.*}}", "{uri: {prefix: /x}}", None),
        ("{uri: {regex: /x.*}}", "{headers: {a: {exact: b}}}", ["/x.*"]),
        ("{uri: {prefix: /x}}", "{method: {exact: GET}}", ["/x"]),
        ("{uri: {prefix: /x}, headers: {a: {exact: b}}}", "{headers: {a: {exact: c}}}", None),
        ("{uri: {prefix: /x}, port: 80}", "{port: 81}", None),
        ("{uri: {prefix: /x}, sourceNamespace: a}", "{sourceNamespace: b}", None),
        ("{uri: {prefix: /x}, sourceLabels: {app: a}}", "{sourceLabels: {app: b}}", None),
        ("{uri: {prefix: /x}, sourceLabels: {app: a}}", "{sourceLabels: {tier: b}}", ["/x"]),
        ("{uri: {prefix: /x}, gateways: [mesh]}", "{gateways: [fleet/edge]}", None),
        ("{uri: {prefix: /x}, ignoreUriCase: true}", "{}", None),
    ],
)
def test_a_delegates_conditions_lie_within_its_roots(root: str, leaf: str, expected: Any) -> None:
    found = routes(
        f"[{{match: [{root}], delegate: {{name: part}}}}]",
        virtual_service("part", f"[{{match: [{leaf}], {TO_WEB}}}]"),
    )
    assert [paths(route) for route in found] == ([] if expected is None else [expected])


def test_what_a_delegate_does_not_say_its_root_says() -> None:
    root = "[{timeout: 3s, retries: {attempts: 7}, mirrors: [{destination: {host: copy}}], delegate: {name: part}}]"
    own, other = routes(
        root, virtual_service("part", f"[{{timeout: 1s, {TO_WEB}}}, {{match: [{{port: 80}}], {TO_WEB}}}]")
    )
    assert [one.timeout.total_seconds() for one in (own, other) if one.timeout] == [1, 3]
    assert all(one.retries and one.retries.attempts == 7 and len(one.mirrors) == 1 for one in (own, other))


def test_short_names_are_those_of_the_delegates_namespace() -> None:
    text = f"[{{match: [{{gateways: [edge]}}], mirror: {{host: copy}}, {TO_WEB}}}]"
    [route] = routes("[{delegate: {name: part, namespace: team}}]", virtual_service("part", text, namespace="team"))
    assert route.route[0].destination.host == "web.team.svc.cluster.local"
    assert route.mirror is not None
    assert route.mirror.host == "copy.team.svc.cluster.local"
    assert route.match[0].gateways == ("team/edge",)


@pytest.mark.parametrize(
    "delegate",
    [
        "",
        virtual_service("part", f"[{{{TO_WEB}}}]", namespace="team"),
        virtual_service("part", f"[{{{TO_WEB}}}]", hosts="web2"),
        virtual_service("part", f"[{{{TO_WEB}}}]", more=", exportTo: [team]"),
    ],
)
def test_a_route_without_its_delegate_is_left_out(delegate: str) -> None:
    state = merged(
        virtual_service("root", f"[{{delegate: {{name: part}}}}, {{name: rest, {TO_WEB}}}]", hosts="web"), delegate
    )
    root = next(one for one in state.virtual_services if one.name == "root")
    assert [route.name for route in root.object.spec.http] == ["rest"]


def test_delegates_alone_are_no_routes_but_are_known() -> None:
    found = merged(virtual_service("part", f"[{{{TO_WEB}}}]"))
    assert list(found.virtual_services) == []
    assert list(found.versions) == ["VirtualService/fleet/part"]


def test_the_root_changes_with_its_delegate_and_with_nothing_else() -> None:
    state = State()
    part = virtual_service("part", f"[{{{TO_WEB}}}]")
    feed(state, virtual_service("root", "[{delegate: {name: part}}]", hosts="web") + part)
    [first] = state.snapshot().virtual_services
    feed(state, virtual_service("other", f"[{{{TO_WEB}}}]", hosts="other"))
    second = next(one for one in state.snapshot().virtual_services if one.name == "root")
    assert second.serial == first.serial
    feed(state, part.replace("web", "web2"))
    third = next(one for one in state.snapshot().virtual_services if one.name == "root")
    assert third.serial != first.serial
    assert third.object.spec.http[0].route[0].destination.host.startswith("web2.")
