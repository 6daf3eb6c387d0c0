"""Outlier detection: who is taken out, when, by whom, and who is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from tests.behaviour.world import HOST, NAMESPACE, Answer, World

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server}}
spec:
  host: server
  trafficPolicy:
    outlierDetection: {settings}
"""
Found = TypeVar("Found")
URL = f"http://server.{NAMESPACE}/"
CLUSTER = f"outbound|80||{HOST}"
# Four pods, one of which is asked by chance: 120 requests give it fewer than ten once in ten million times.
ENOUGH = 120
# What a pod that is taken out at once may still answer wrongly while the news takes its way between Envoy's threads,
# which a busy machine draws out. One that is never taken out would spoil fewer than this once in 4,000 times.
FEW = 15
PATIENCE_SECONDS = 30.0


def apply(world: World, settings: str) -> None:
    world.apply(RULE.format(settings=settings))


def broken(world: World) -> dict[str, str]:
    """Headers with which one pod of the four answers 500."""
    return {"x-status": "500", "x-pod": world.pods("v1")[0]}


def failures(answers: list[Answer]) -> int:
    return sum(answer.status != 200 for answer in answers)


def ejected(world: World, source: str = "client") -> int:
    """How many pods of the server are taken out by the proxy of a pod."""
    page: Any = json.loads(world.admin(source, "clusters?format=json"))
    [hosts] = [one["host_statuses"] for one in page["cluster_statuses"] if one["name"] == CLUSTER]
    return sum("failed_outlier_check" in host["health_status"] for host in hosts)


def patiently(look: Callable[[], Found], good: Callable[[Found], bool]) -> Found:
    """What a look finds, once it is good, or after a while."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not good(found := look()) and time.monotonic() < until:
        pass
    return found


def settled(world: World, wanted: int) -> int:
    """`ejected`, once it is what is wanted (a worker tells the main thread), or after a while."""
    return patiently(lambda: ejected(world), lambda found: found == wanted)


def heeded(world: World, headers: dict[str, str], wanted: int) -> list[Answer]:
    """Twenty answers, once as many fail as is wanted, or after a while.

    Of several pods that are taken out at once the workers hear up to a second later: Envoy's main thread gathers news
    of health (`update_merge_window`).
    """
    return patiently(lambda: world.many(20, headers=headers), lambda found: failures(found) == wanted)


def test_a_pod_is_taken_out_after_errors_in_a_row_by_each_caller_itself(world: World) -> None:
    apply(world, "{consecutive5xxErrors: 3, baseEjectionTime: 10m, maxEjectionPercent: 50}")
    headers = broken(world)
    learning = world.many(ENOUGH, headers=headers)
    assert 3 <= failures(learning) < FEW
    assert settled(world, 1) == 1
    assert failures(heeded(world, headers, 0)) == 0
    assert failures(world.many(ENOUGH, headers=headers)) == 0
    assert ejected(world, "other") == 0
    assert failures(world.many(ENOUGH, URL, headers, source="other")) >= 3


def test_with_the_default_of_ten_per_cent_one_of_four_stays(world: World) -> None:
    apply(world, "{consecutive5xxErrors: 3, baseEjectionTime: 10m}")
    headers = broken(world)
    assert failures(world.many(ENOUGH, headers=headers)) >= 10
    assert settled(world, 0) == 0
    counters = world.admin("client", "stats?filter=outlier_detection.ejections")
    [overflow] = [line for line in counters.splitlines() if CLUSTER in line and "ejections_overflow" in line]
    assert int(overflow.rpartition(": ")[2]) >= 1


def test_five_errors_are_the_default(world: World) -> None:
    apply(world, "{baseEjectionTime: 10m, maxEjectionPercent: 50}")
    assert 5 <= failures(world.many(ENOUGH, headers=broken(world))) < FEW
    assert settled(world, 1) == 1


@pytest.mark.parametrize(("status", "out"), [("500", 0), ("503", 1)])
def test_gateway_errors_are_not_all_errors(world: World, status: str, out: int) -> None:
    apply(
        world, "{consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, maxEjectionPercent: 50, baseEjectionTime: 10m}"
    )
    world.many(ENOUGH, headers=broken(world) | {"x-status": status})
    assert settled(world, out) == out


def test_when_all_are_taken_out_nobody_answers(world: World) -> None:
    apply(world, "{consecutive5xxErrors: 1, baseEjectionTime: 10m, maxEjectionPercent: 100}")
    world.many(ENOUGH, headers={"x-status": "503"})
    assert settled(world, 4) == 4
    assert failures(heeded(world, {}, 20)) == 20
    request_id = uuid4().hex
    answer = world.get(headers={"x-request-id": request_id})
    assert (answer.status, answer.body) == (503, "no healthy upstream")
    [entry] = world.log("client", request_id)
    assert entry.verdict == "503 UH no_healthy_upstream"


def test_what_was_remembered_goes_with_the_rule(world: World) -> None:
    apply(world, "{consecutive5xxErrors: 1, baseEjectionTime: 10m, maxEjectionPercent: 100}")
    world.many(ENOUGH, headers={"x-status": "503"})
    assert settled(world, 4) == 4
    world.undo()
    assert ejected(world) == 0
    assert failures(world.many(20)) == 0


def test_a_pod_comes_back(world: World) -> None:
    apply(world, "{consecutive5xxErrors: 1, baseEjectionTime: 1s, interval: 0.5s, maxEjectionPercent: 50}")
    world.many(ENOUGH, headers=broken(world))

    def answering() -> set[str]:
        return {answer.pod for answer in world.many(40)}

    assert len(patiently(answering, lambda pods: len(pods) == 4)) == 4


def test_enough_must_be_left_for_the_rule_to_hold(world: World) -> None:
    """minHealthPercent: below it all pods are asked again, the ones that were taken out too."""
    settings = "consecutive5xxErrors: 1, baseEjectionTime: 10m, maxEjectionPercent: 100, minHealthPercent: 60"
    apply(world, f"{{{settings}}}")
    world.many(ENOUGH, headers={"x-status": "503"})
    assert settled(world, 4) == 4
    assert failures(world.many(20)) == 0
