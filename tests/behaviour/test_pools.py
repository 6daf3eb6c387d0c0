"""Connection pool limits: what is refused, what waits, what the caller sees."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.behaviour.world import HOST, NAMESPACE, World

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server}}
spec:
  host: server
  trafficPolicy:
    connectionPool: {settings}
"""
OVERFLOW = "upstream connect error or disconnect/reset before headers. reset reason: overflow"
SLOW = {"x-delay": "1"}


def apply(world: World, settings: str) -> None:
    world.apply(RULE.format(settings=settings))


def counter(world: World, name: str) -> int:
    found = world.admin("client", f"stats?filter={name}").splitlines()
    [line] = [one for one in found if one.startswith(f"cluster.outbound|80||{HOST};.{name}: ")]
    return int(line.rpartition(": ")[2])


def test_what_has_neither_a_connection_nor_a_place_to_wait_is_refused(world: World) -> None:
    """One connection is one for each worker thread, and for each of the four pods one may be made."""
    apply(world, "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}")
    request_id = uuid4().hex
    answers = world.many(24, headers={**SLOW, "x-request-id": request_id}, parallel=True)
    good = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    assert len(good) + len(refused) == 24
    assert 1 <= len(good) <= 12
    assert {(answer.body, answer.header("x-envoy-overloaded")) for answer in refused} == {(OVERFLOW, "true")}
    entries = world.log("client", request_id, 24)
    verdicts = {entry.verdict for entry in entries if entry.status == "503"}
    assert verdicts == {"503 UO upstream_reset_before_response_started{overflow}"}
    assert counter(world, "upstream_rq_pending_overflow") >= len(refused)
    assert counter(world, "circuit_breakers.default.rq_pending_open") == 0  # it closes by itself


def test_without_a_limit_for_the_queue_everybody_waits(world: World) -> None:
    apply(world, "{tcp: {maxConnections: 1}}")
    answers = world.many(12, headers={"x-delay": "0.1"}, parallel=True)
    assert [answer.status for answer in answers] == [200] * 12


@pytest.mark.parametrize("settings", ["{http: {http2MaxRequests: 2}}", "{http: {http2MaxRequests: 2, maxRetries: 0}}"])
def test_requests_under_way_can_be_limited_whatever_the_protocol(world: World, settings: str) -> None:
    apply(world, settings)
    answers = world.many(12, headers=SLOW, parallel=True)
    assert sum(answer.status == 200 for answer in answers) in range(2, 7)
    assert {answer.body for answer in answers if answer.status == 503} == {OVERFLOW}


def test_the_server_s_proxy_keeps_the_limit_too(world: World) -> None:
    """So it holds for callers without a proxy; the limit is one for each pod then."""
    apply(world, "{tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}")
    url = f"http://server.{NAMESPACE}/"
    answers = world.many(40, url, SLOW, source="outside", parallel=True)
    refused = [answer for answer in answers if answer.status == 503]
    assert 1 <= len(refused) < 40
    assert {(answer.body, answer.header("x-envoy-overloaded")) for answer in refused} == {(OVERFLOW, "true")}


@pytest.mark.parametrize(("settings", "connections"), [("{http: {maxRequestsPerConnection: 1}}", 8), ("{}", 4)])
def test_connections_are_kept_unless_their_requests_are_limited(world: World, settings: str, connections: int) -> None:
    if settings != "{}":
        apply(world, settings)
    request_id = uuid4().hex
    world.many(8, headers={"x-request-id": request_id})
    used = {entry.local for entry in world.log("client", request_id, 8)}
    # Kept: at most one for each pod; otherwise one for each request.
    assert len(used) == 8 if connections == 8 else len(used) <= connections


def test_an_ordinary_load_leaves_no_trace(world: World) -> None:
    apply(world, "{tcp: {maxConnections: 100}, http: {http1MaxPendingRequests: 100}}")
    before = counter(world, "upstream_rq_pending_overflow")  # what other rules left: a counter outlives them
    assert {answer.status for answer in world.many(20)} == {200}
    assert counter(world, "upstream_rq_pending_overflow") == before
