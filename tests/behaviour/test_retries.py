"""Timeouts and retries: what is tried again, how often, how long, and what the proxies write about it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.behaviour.logs import Entry
from tests.behaviour.world import Answer, World

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - name: tried
      {route}
      route: [{{destination: {{host: server}}}}]
"""


class Sent:
    """One request, and what became of it on the way."""

    def __init__(self, world: World, **headers: str) -> None:
        self._world = world
        self.id = uuid4().hex
        self.answer: Answer = world.get(headers={"x-request-id": self.id, "x-test": self.id, **headers})

    @property
    def arrived(self) -> int:
        """How often the server got it."""
        return sum(self._world.seen(self.id, version)[0] for version in ("v1", "v2"))

    @property
    def entry(self) -> Entry:
        """What the client's proxy wrote."""
        [entry] = self._world.log("client", self.id)
        return entry


def apply(world: World, route: str) -> None:
    world.apply(ROUTE.format(route=route))


@pytest.mark.parametrize("status", ["500", "502", "503", "504"])
def test_by_default_no_answer_of_the_service_is_retried(world: World, status: str) -> None:
    sent = Sent(world, **{"x-status": status})
    assert (sent.answer.status, sent.arrived) == (int(status), 1)
    assert (sent.entry.verdict, sent.entry.route) == (f"{status} - via_upstream", "default")


@pytest.mark.parametrize(
    ("retries", "status", "arrives", "flags"),
    [
        ("{attempts: 3}", "503", 1, "-"),
        ("{attempts: 3, retryOn: 5xx}", "503", 4, "URX"),
        ("{attempts: 3, retryOn: 5xx}", "500", 4, "URX"),
        ("{attempts: 3, retryOn: 5xx}", "404", 1, "-"),
        ("{attempts: 2, retryOn: gateway-error}", "502", 3, "URX"),
        ("{attempts: 2, retryOn: gateway-error}", "500", 1, "-"),
        ('{attempts: 2, retryOn: "503"}', "503", 3, "URX"),
        ('{attempts: 2, retryOn: "503"}', "502", 1, "-"),
        ('{attempts: 2, retryOn: "connect-failure,404"}', "404", 3, "URX"),
        ("{attempts: 1, retryOn: retriable-4xx}", "409", 2, "URX"),
        ("{attempts: 0}", "503", 1, "-"),
    ],
)
def test_what_is_retried_and_how_often(world: World, retries: str, status: str, arrives: int, flags: str) -> None:
    apply(world, f"retries: {retries}")
    sent = Sent(world, **{"x-status": status})
    assert (sent.answer.status, sent.arrived) == (int(status), arrives)
    assert sent.entry.verdict == f"{status} {flags} via_upstream"


def test_a_retry_goes_to_another_pod_and_says_which_it_is(world: World) -> None:
    apply(world, "retries: {attempts: 3, retryOn: 5xx}")
    [pod, *_] = world.pods("v1")
    answers = world.many(40, headers={"x-status": "500", "x-pod": pod})
    assert {answer.status for answer in answers} == {200}
    counts = {answer.received["x-envoy-attempt-count"] for answer in answers}
    assert "1" in counts
    assert counts > {"1"}  # one in four met the failing pod first
    assert counts <= {"1", "2", "3", "4"}


def test_a_timeout_gives_up(world: World) -> None:
    apply(world, "timeout: 0.5s")
    sent = Sent(world, **{"x-delay": "1.5"})
    assert (sent.answer.status, sent.answer.body) == (504, "upstream request timeout")
    assert (sent.entry.verdict, sent.entry.route) == ("504 UT response_timeout", "tried")
    [server] = world.log("server", sent.id)
    assert server.verdict == "0 DC downstream_remote_disconnect"


def test_without_a_timeout_the_client_waits(world: World) -> None:
    asked = {"x-delay": "0.7", "x-envoy-upstream-rq-timeout-ms": "100"}
    assert Sent(world, **asked).answer.status == 200  # nor can the client set one


def test_an_answer_in_time_is_left_alone(world: World) -> None:
    apply(world, "timeout: 30s")
    assert Sent(world, **{"x-delay": "0.3"}).answer.status == 200


def test_each_try_can_have_its_own_limit(world: World) -> None:
    apply(world, "retries: {attempts: 2, perTryTimeout: 0.3s, retryOn: 5xx}")
    sent = Sent(world, **{"x-delay": "2"})
    assert (sent.answer.status, sent.answer.body) == (504, "upstream request timeout")
    assert sent.answer.seconds >= 0.89
    assert sent.arrived == 3
    assert sent.entry.verdict == "504 URX,UT upstream_per_try_timeout"


def test_the_timeout_is_for_all_tries_together(world: World) -> None:
    apply(world, "timeout: 0.7s\n      retries: {attempts: 10, perTryTimeout: 0.3s, retryOn: 5xx}")
    sent = Sent(world, **{"x-delay": "2"})
    assert sent.answer.status == 504
    assert sent.arrived <= 3
    assert sent.entry.verdict == "504 UT response_timeout"


def test_connections_that_fail_are_retried_by_default(world: World) -> None:
    """A host of the mesh where nobody listens: the client's proxy tries three times and then says so."""
    world.apply("""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nobody}
spec:
  hosts: [nobody.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9}]
  endpoints: [{address: 127.0.0.1}]
""")
    request_id = uuid4().hex
    answer = world.get("http://server/", {"host": "nobody.example", "x-request-id": request_id})
    [entry] = world.log("client", request_id)
    assert answer.status == 503
    reason = "retried and the latest reset reason: remote connection failure"
    assert answer.body == f"upstream connect error or disconnect/reset before headers. {reason}"
    assert (entry.status, entry.flags, entry.upstream) == ("503", "URX,UF", "127.0.0.1:9")
