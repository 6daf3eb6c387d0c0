"""The checks of the lab `fault-injection` against a mesh that answers as told."""

import json
from collections import Counter
from typing import Any

import pytest

from meshdojo.checks.labs import fault_injection as lab
from meshdojo.checks.outcome import CannotJudge, Fail, Pass

pytestmark = pytest.mark.anyio

SERVICES = [{"metadata": {"name": "web", "namespace": "fleet"}}]
ALL = (lab.driver, lab.slow, lab.spared, lab.timeout, lab.aborts, lab.one_caller, lab.retried)
QUICK, LATE = 0.01, 2.01
ABORTED = json.dumps({"service": "api-gateway", "error": "position-tracker: fault filter abort"})
CUT_OFF = json.dumps({"service": "web", "error": "api-gateway: upstream request timeout"})
CUSTOMERS, DRILL = (lab.CUSTOMERS, False), (lab.CUSTOMERS, True)
API, API_DRILL = (lab.API_GATEWAY, False), (lab.API_GATEWAY, True)
DISPATCHERS = (lab.POSITIONS, False)


class Mesh:
    """`answers` maps (url, in the drill?) to (share of failures, status of a failure, its body, seconds).

    Seconds are those of every answer, or those of the fastest and of the slowest of nine in ten.
    """

    def __init__(self, measurement: Any, answers: Any, services: Any) -> None:
        self._measurement = measurement
        self._answers = answers
        self._services = services
        self.asked: list[Any] = []

    async def measure(self, request: Any) -> Any:
        self.asked.append(request)
        drill = request.headers == lab.DRILL
        share, seconds, status, body = self._answers.get((request.url, drill), (0, QUICK, "503", ""))
        failed = round(request.requests * share)
        good = request.requests - failed
        statuses = {kind: count for kind, count in (("200", good), (status, failed)) if count}
        fastest, most = seconds if isinstance(seconds, tuple) else (seconds, seconds)
        latency = {"min": fastest, "p90": most, "max": most}
        return self._measurement(Counter({"200": good}), statuses, None, {status: body}, latency)

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._services


@pytest.fixture
def mesh(measurement: Any) -> Any:
    return lambda answers=None, services=SERVICES: Mesh(measurement, answers or {}, services)


def failing(share: float, status: str = "503", body: str = "", seconds: Any = QUICK) -> Any:
    return share, seconds, status, body


def reason_of(outcome: Any) -> Any:
    """Why it failed; None when it passed."""
    assert isinstance(outcome, Pass | Fail)
    return outcome.reason if isinstance(outcome, Fail) else None


@pytest.mark.parametrize("check", ALL)
async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any, check: Any) -> None:
    with pytest.raises(CannotJudge, match="not set up"):
        await check(mesh(services=[]))


async def test_driver(mesh: Any) -> None:
    assert isinstance(await lab.driver(mesh()), Pass)
    for share in (0.1, 0.5, 1.0):
        outcome = await lab.driver(mesh({(f"{lab.CUSTOMERS}/hill-lorry", False): failing(share, "502")}))
        assert isinstance(outcome, Fail)
        assert "hill-lorry" in outcome.reason
        assert "status 502" in outcome.saw


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing(0, seconds=LATE), None),
        (failing(0, seconds=3.5), None),
        (failing(0), "Not every request of the drill is delayed."),
        (failing(0, seconds=1.0), "Not every request of the drill is delayed."),
        (failing(0, seconds=5.0), "The delay is too long."),
        (failing(1, seconds=LATE), "31 of 31 requests got no good answer."),
    ],
)
async def test_slow(mesh: Any, answer: Any, reason: Any) -> None:
    state = mesh({API_DRILL: answer})
    outcome = await lab.slow(state)
    assert reason_of(outcome) == reason
    assert state.asked[0].concurrency == state.asked[0].requests  # they wait side by side


async def test_slow_asks_where_no_cure_can_hide_the_delay(mesh: Any) -> None:
    cured = {API_DRILL: failing(0, seconds=LATE), DRILL: failing(1, "502", CUT_OFF, 1.0)}
    assert isinstance(await lab.slow(mesh(cured)), Pass)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing(0), None),
        (failing(0.02), None),
        (failing(1, "404"), "Customers who are not part of the drill get errors."),
        (failing(0.5, "502"), "Customers who are not part of the drill get errors."),
        (failing(0, seconds=LATE), "Customers who are not part of the drill have to wait."),
        (failing(0, seconds=(QUICK, LATE)), "Customers who are not part of the drill have to wait."),
    ],
)
async def test_spared(mesh: Any, answer: Any, reason: Any) -> None:
    outcome = await lab.spared(mesh({CUSTOMERS: answer}))
    assert reason_of(outcome) == reason


async def test_a_delay_for_all_is_seen_at_the_first_look(mesh: Any) -> None:
    state = mesh({CUSTOMERS: failing(0, seconds=LATE)})
    await lab.spared(state)
    assert [request.requests for request in state.asked] == [lab.FIRST_LOOK]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing(1, "502", CUT_OFF, 1.0), None),
        (failing(1, "504", "upstream request timeout", 1.0), None),  # cut off at the edge
        (failing(0), "The drill is over: requests with x-fleet-drill: slow are answered as fast as any other."),
        (failing(0, seconds=LATE), "The customer of a slow position-tracker still waits to the end."),
        (failing(0.5, "502", CUT_OFF, LATE), "The customer of a slow position-tracker still waits to the end."),
        (failing(1, "502", ABORTED), "Requests of the drill fail, but not by a timeout."),
        (failing(1, "404"), "Requests of the drill fail, but not by a timeout."),
    ],
)
async def test_timeout(mesh: Any, answer: Any, reason: Any) -> None:
    outcome = await lab.timeout(mesh({DRILL: answer}))
    assert reason_of(outcome) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing(0.3, "502", ABORTED), None),
        (failing(0), "What api-gateway asks of position-tracker does not fail often enough."),
        (failing(0.003), "What api-gateway asks of position-tracker does not fail often enough."),
        (failing(0.03), "What api-gateway asks of position-tracker does not fail often enough."),
        (failing(1, "502", ABORTED), "What api-gateway asks of position-tracker fails too often."),
        (failing(0.3, "502", "no healthy upstream"), "Requests fail, but not by an injected abort."),
    ],
)
async def test_aborts(mesh: Any, answer: Any, reason: Any) -> None:
    outcome = await lab.aborts(mesh({API: answer}))
    assert reason_of(outcome) == reason


async def test_one_caller(mesh: Any) -> None:
    state = mesh()
    assert isinstance(await lab.one_caller(state), Pass)
    assert state.asked[0].place == "inside"
    for share in (0.3, 1.0):
        assert isinstance(await lab.one_caller(mesh({DISPATCHERS: failing(share)})), Fail)


@pytest.mark.parametrize(("share", "expected"), [(0, Pass), (0.0081, Pass), (0.09, Pass), (0.3, Fail), (1, Fail)])
async def test_retried(mesh: Any, share: Any, expected: Any) -> None:
    assert isinstance(await lab.retried(mesh({CUSTOMERS: failing(share, "502", ABORTED)})), expected)


def test_the_error_rates_are_as_stated() -> None:
    for judged in (lab.NAMED, lab.SLOW, lab.SPARED, lab.ABORTED, lab.OTHERS, lab.RETRIED):
        assert judged.design.false_fail <= 1e-6
        assert judged.design.miss <= 1e-3


def test_one_further_try_is_right_and_none_is_wrong() -> None:
    assert lab.ABORTED.right**2 <= lab.RETRIED.right
    assert lab.RETRIED.above == lab.ABORTED.right
