"""Session stickiness: a consistent hash leads equal keys to one pod, whatever they are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.behaviour.world import Answer, World

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server}}
spec:
  host: server
  trafficPolicy: {{loadBalancer: {{consistentHash: {hash}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"""
HALVES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: server}
spec:
  hosts: [server]
  http: [{route: [{destination: {host: server, subset: v1}, weight: 50},
                  {destination: {host: server, subset: v2}, weight: 50}]}]
"""
URL = "http://server/"
KEYS = 40  # that so many all fall on one of four pods by chance does not happen


def with_header(key: str) -> Mapping[str, Any]:
    return {"url": URL, "headers": {"x-user": key}}


def with_cookie(key: str) -> Mapping[str, Any]:
    return {"url": URL, "headers": {"cookie": f"user={key}"}}


def with_parameter(key: str) -> Mapping[str, Any]:
    return {"url": f"{URL}?user={key}"}


def pods(answers: list[Answer]) -> set[str]:
    return {answer.pod for answer in answers}


@pytest.mark.parametrize(
    ("hash_", "request_with"),
    [
        ("{httpHeaderName: x-user}", with_header),
        ("{httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}", with_header),
        ("{httpHeaderName: x-user, maglev: {tableSize: 65537}}", with_header),
        ("{httpCookie: {name: user, ttl: 60s}}", with_cookie),
        ("{httpQueryParameterName: user}", with_parameter),
    ],
)
def test_equal_keys_go_to_one_pod_and_different_ones_are_spread(world: World, hash_: str, request_with: Any) -> None:
    world.apply(RULE.format(hash=hash_))
    keys = [f"user-{number}" for number in range(KEYS)]
    answers = world.send([request_with(key) for key in keys for _ in range(2)])
    assert [one.pod for one in answers[::2]] == [one.pod for one in answers[1::2]]
    assert len(pods(answers)) > 1


def test_requests_without_the_key_spread(world: World) -> None:
    world.apply(RULE.format(hash="{httpHeaderName: x-user}"))
    assert len(pods(world.many(KEYS))) > 1


def test_the_source_address_leads_to_one_pod(world: World) -> None:
    world.apply(RULE.format(hash="{useSourceIp: true}"))
    assert len(pods(world.many(KEYS))) == 1


@pytest.mark.parametrize(
    ("cookie", "attributes"),
    [
        ("{name: user, ttl: 60s}", "Max-Age=60; HttpOnly"),
        ("{name: user, ttl: 60s, path: /}", "Max-Age=60; Path=/; HttpOnly"),
        ("{name: user, path: /a, ttl: 0s}", "Path=/a; HttpOnly"),
    ],
)
def test_the_proxy_sets_the_cookie_that_is_missing(world: World, cookie: str, attributes: str) -> None:
    world.apply(RULE.format(hash=f"{{httpCookie: {cookie}}}"))
    first = world.get()
    given = first.header("set-cookie") or ""
    assert given.partition("; ")[2] == attributes
    name, _, value = given.partition(";")[0].partition("=")
    assert (name, value.strip('"') != "") == ("user", True)
    again = world.many(10, headers={"cookie": given.partition(";")[0]})
    assert pods(again) == {first.pod}
    assert [one.header("set-cookie") for one in again] == [None] * 10


def test_a_cookie_without_ttl_is_only_read(world: World) -> None:
    world.apply(RULE.format(hash="{httpCookie: {name: user}}"))
    assert world.get().header("set-cookie") is None


def test_it_does_not_combine_with_weights(world: World) -> None:
    """The weight picks a subset for each request anew, the hash a pod within it."""
    world.apply(RULE.format(hash="{httpHeaderName: x-user}") + "---" + HALVES)
    answers = world.many(60, headers={"x-user": "one"})
    assert {answer.version for answer in answers} == {"v1", "v2"}
    assert len(pods(answers)) == 2  # one of each version


def test_weights_and_a_cookie(world: World) -> None:
    """The cookie is set whatever subset is drawn, and leads to one pod of each."""
    world.apply(RULE.format(hash="{httpCookie: {name: user, ttl: 60s}}") + "---" + HALVES)
    given = [value for name, value in world.get().headers if name == "set-cookie"]
    assert {one.partition("; ")[2] for one in given} == {"Max-Age=60; HttpOnly"}
    answers = world.many(60, headers={"cookie": given[0].partition(";")[0]})
    assert {answer.version for answer in answers} == {"v1", "v2"}
    assert len(pods(answers)) == 2


def test_a_subset_has_a_policy_of_its_own(world: World) -> None:
    rule = RULE.format(hash="{httpHeaderName: x-user}").replace(
        "labels: {version: v2}", "labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}"
    )

    world.apply(rule + "---" + HALVES)
    answers = world.many(120, headers={"x-user": "one"})
    assert len({one.pod for one in answers if one.version == "v1"}) == 1
    assert len({one.pod for one in answers if one.version == "v2"}) == 2


@pytest.mark.parametrize(
    ("destination", "kept"),
    [(None, True), ("{host: server}", False), ("{host: server, port: {number: 80}}", True)],
    ids=["no route", "a route without a port", "a route that names the port"],
)
def test_settings_of_a_port_count_for_routes_that_name_it(world: World, destination: str | None, kept: bool) -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: server}
spec:
  host: server
  trafficPolicy:
    portLevelSettings:
    - {port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
"""
    route = f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec: {{hosts: [server], http: [{{route: [{{destination: {destination}}}]}}]}}
"""
    world.apply(rule + (route if destination else ""))
    assert (len(pods(world.many(KEYS, headers={"x-user": "one"}))) == 1) is kept
