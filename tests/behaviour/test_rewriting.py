"""What a route changes in requests and answers: headers, path, host; redirects and answers of the proxy's own."""

from __future__ import annotations

import pytest
from tests.behaviour.test_mirroring import RULE
from tests.behaviour.world import World

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - {route}
"""
TO_V1 = "route: [{destination: {host: server, subset: v1}}]"


def apply(world: World, route: str) -> None:
    world.apply(RULE + "---" + ROUTES.format(route=f"{{{route}}}"))


def test_request_headers_are_set_added_and_removed(world: World) -> None:
    apply(world, f"headers: {{request: {{set: {{x-a: s}}, add: {{x-b: t}}, remove: [x-c]}}}}, {TO_V1}")
    received = world.get(headers={"x-a": "1", "x-b": "2", "x-c": "3"}).received
    assert (received["x-a"], received["x-b"], received.get("x-c")) == ("s", "2,t", None)


def test_response_headers_are_set_added_and_removed(world: World) -> None:
    apply(world, f"headers: {{response: {{set: {{x-a: s}}, add: {{x-b: t}}, remove: [x-app]}}}}, {TO_V1}")
    answer = world.get()
    assert (answer.header("x-a"), answer.header("x-b"), answer.header("x-app")) == ("s", "t", None)


def test_headers_of_the_route_and_of_the_destination_both_apply(world: World) -> None:
    one = "headers: {response: {add: {x-who: destination}, set: {x-a: inner}}}"
    apply(
        world,
        f"headers: {{response: {{add: {{x-who: route}}, set: {{x-a: outer}}}}}}, "
        f"route: [{{destination: {{host: server, subset: v1}}, {one}}}]",
    )
    answer = world.get()
    assert [value for name, value in answer.headers if name == "x-who"] == ["route", "destination"]
    assert answer.header("x-a") == "inner"


def test_a_weighted_destination_marks_its_answers(world: World) -> None:
    """How a canary with weights keeps its customers: the cookie says which version answered."""

    def to(version: str) -> str:
        cookie = f"headers: {{response: {{set: {{set-cookie: version={version}}}}}}}"
        return f"{{destination: {{host: server, subset: {version}}}, weight: 50, {cookie}}}"

    apply(world, f"route: [{to('v1')}, {to('v2')}]")
    answers = world.many(40)
    assert {answer.version for answer in answers} == {"v1", "v2"}
    assert all(answer.header("set-cookie") == f"version={answer.version}" for answer in answers)


@pytest.mark.parametrize(
    ("route", "path", "arrives"),
    [
        ("match: [{uri: {prefix: /old}}], rewrite: {uri: /new}", "/old/page?q=1", "/new/page?q=1"),
        ("match: [{uri: {prefix: /old}}], rewrite: {uri: /new}", "/older", "/newer"),
        ("match: [{uri: {exact: /old}}], rewrite: {uri: /new}", "/old?q=1", "/new?q=1"),
        ("match: [{uri: {regex: /o.*}}], rewrite: {uri: /new}", "/old/page", "/new"),
        ("match: [{uri: {prefix: /old/}}], rewrite: {uri: /}", "/old/page", "/page"),
        (
            "rewrite: {uriRegexRewrite: {match: '^/users/([^/]+)/(.*)$', rewrite: '/\\2/of/\\1'}}",
            "/users/7/orders?q=1",
            "/orders/of/7?q=1",
        ),
    ],
)
def test_the_path_is_rewritten(world: World, route: str, path: str, arrives: str) -> None:
    apply(world, f"{route}, {TO_V1}")
    answer = world.get(f"http://server{path}")
    assert answer.echo["path"] == arrives
    assert answer.received["x-envoy-original-path"] == path


def test_the_host_is_rewritten(world: World) -> None:
    apply(world, f"rewrite: {{authority: other.example}}, {TO_V1}")
    received = world.get().received
    assert (received["host"], received["x-envoy-original-host"]) == ("other.example", "server")


@pytest.mark.parametrize(
    ("redirect", "status", "location"),
    [
        ("{uri: /new}", 301, "http://server/new?q=1"),
        ("{authority: other.example, redirectCode: 302}", 302, "http://other.example/old/page?q=1"),
        ("{scheme: https}", 301, "https://server/old/page?q=1"),
        ("{authority: other.example, port: 8443}", 301, "http://other.example:8443/old/page?q=1"),
    ],
)
def test_a_redirect_sends_the_client_elsewhere(world: World, redirect: str, status: int, location: str) -> None:
    apply(world, f"match: [{{uri: {{prefix: /old}}}}], redirect: {redirect}")
    answer = world.get("http://server/old/page?q=1")
    assert (answer.status, answer.header("location"), answer.body) == (status, location, "")


def test_the_proxy_can_answer_by_itself(world: World) -> None:
    apply(world, "directResponse: {status: 503, body: {string: closed for today}}")
    answer = world.get()
    assert (answer.status, answer.body) == (503, "closed for today")
