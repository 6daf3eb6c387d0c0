"""The checks of the lab `dark-release` against a mesh that answers as told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from meshdojo.checks.labs import dark_release
from meshdojo.checks.outcome import CannotJudge, Fail, Pass
from meshdojo.cluster.streams import ExecResult

pytestmark = pytest.mark.anyio

STAFF = {"metadata": {"name": "staff-service", "namespace": "fleet"}, "spec": {"selector": {"app": "staff-service"}}}
Shares = Mapping[str | None, float]


class Mesh:
    """Where requests end, as shares of them: a label, "(none)" for an answer without one, None for a 503.

    `customers` and `testers`: by version, at the end of the chain; `received`: which header value came to
    staff-service, `at_gateway`: to api-gateway; `caller`: a caller in the mesh with the header, `other`: without it;
    `desk`: the dispatch desk. `copies`: the share of customers' requests that version 2 gets a copy of; `late`: how
    many looks it takes until they have been counted.
    """

    def __init__(self, measurement: Any, pods: list[Any], services: Any = (STAFF,), **shares: Any) -> None:
        self._measurement = measurement
        self._objects = {"pods": pods, "services": list(services)}
        self._shares = shares
        self._copies: Callable[[str], int] = lambda version: 0
        self._late = shares.get("late", 0)
        self.run_of_customers = ""

    async def list(self, resource: str, namespace: str | None = None) -> Any:
        return [obj for obj in self._objects[resource] if namespace in (None, obj["metadata"]["namespace"])]

    async def measure(self, request: Any) -> Any:
        tester = request.headers == dark_release.PREVIEW
        if request.url == dark_release.STAFF_URL:
            assert request.place == "inside"
            return self._sample(request, "caller" if tester else "other")
        if request.count_by == f"json:{dark_release.STAFF_HOP}.received.x-fleet-preview":
            return self._sample(request, "received")
        if request.count_by == f"json:{dark_release.GATEWAY_HOP}.received.x-fleet-preview":
            return self._sample(request, "at_gateway")
        assert request.count_by == f"json:{dark_release.STAFF_HOP}.version"
        if request.headers and not tester:
            [(name, value)] = request.headers
            assert name == "baggage"
            self.run_of_customers = value.removeprefix("run=")
            answered = self._sample(request, "customers")
            copied = round(request.requests * self._shares.get("copies", 0))
            self._copies = lambda version: answered.counts[version] + (copied if version == "v2" else 0)
            return answered
        return self._sample(request, "testers" if tester else "customers")

    async def measure_from(self, pod: Any, request: Any) -> Any:
        assert pod["metadata"]["labels"]["app"] == "dispatch"
        assert not request.headers
        return self._sample(request, "desk")

    async def run(self, pod: Any, command: Any) -> ExecResult:
        if self._shares.get("silent"):
            return ExecResult(7, b"", b"curl: (7) Failed to connect")
        self._late -= 1
        version = pod["metadata"]["labels"]["version"]
        seen = 0 if self._shares.get("lost") or self._late >= 0 else self._copies(version)
        runs = {"other": 5, **({self.run_of_customers: seen} if seen else {})}
        return ExecResult(0, json.dumps({"version": version, "requests": 1000, "runs": runs}).encode(), b"")

    def _sample(self, request: Any, who: str) -> Any:
        shares: Shares = self._shares.get(who, {"v1": 1.0})
        counts: Counter[Any] = Counter()
        left = request.requests
        for label, share in list(shares.items())[1:]:
            counts[label] = round(request.requests * share)
            left -= counts[label]
        counts[next(iter(shares))] += left
        broken = counts.pop(None, 0)
        statuses = {"200": counts.total(), "503": broken} if broken else {"200": counts.total()}
        return self._measurement(counts, statuses, examples={"503": "no healthy upstream"})


@pytest.fixture
def mesh(measurement: Any, pod: Any) -> Any:
    def make(**options: Any) -> Mesh:
        pods = [
            pod("staff-1", app="staff-service", version="v1"),
            pod("staff-2", app="staff-service", version="v2", ready=options.pop("new_ready", True)),
        ]
        if options.pop("desk_there", True):
            desk = pod("dispatch-1", app="dispatch", version="v1")
            pods.append({**desk, "metadata": {**desk["metadata"], "namespace": "office"}})
        return Mesh(measurement, pods, **options)

    return make


V1: Shares = {"v1": 1.0}
V2: Shares = {"v2": 1.0}
LEAK: Shares = {"v1": 0.95, "v2": 0.05}
GAP: Shares = {"v2": 0.95, "v1": 0.05}
BROKEN_V1: Shares = {"v1": 0.9, None: 0.1}
BROKEN_V2: Shares = {"v2": 0.9, None: 0.1}


@pytest.mark.parametrize(
    ("customers", "expected"), [(V1, Pass), (LEAK, Fail), (V2, Fail), ({"v1": 0.5, "v2": 0.5}, Fail), (BROKEN_V1, Fail)]
)
async def test_hidden(mesh: Any, customers: Any, expected: Any) -> None:
    assert isinstance(await dark_release.hidden(mesh(customers=customers)), expected)


async def test_what_does_not_run_is_not_hidden(mesh: Any) -> None:
    outcome = await dark_release.hidden(mesh(new_ready=False))
    assert isinstance(outcome, Fail)
    assert outcome.reason == "Version 2 does not run."


@pytest.mark.parametrize(("caller", "expected"), [(V2, Pass), (GAP, Fail), (V1, Fail), (BROKEN_V2, Fail)])
async def test_routed(mesh: Any, caller: Any, expected: Any) -> None:
    assert isinstance(await dark_release.routed(mesh(caller=caller)), expected)


@pytest.mark.parametrize(("testers", "expected"), [(V2, Pass), (GAP, Fail), (V1, Fail), (BROKEN_V2, Fail)])
async def test_testers(mesh: Any, testers: Any, expected: Any) -> None:
    assert isinstance(await dark_release.testers(mesh(testers=testers)), expected)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ({"staff-v2": 1.0}, Pass),
        ({"(none)": 1.0}, Fail),
        ({"staff-v2": 0.95, "(none)": 0.05}, Fail),
        ({"other": 1.0}, Fail),
        ({"staff-v2": 0.9, None: 0.1}, Fail),
    ],
)
async def test_forwarded(mesh: Any, received: Any, expected: Any) -> None:
    assert isinstance(await dark_release.forwarded(mesh(received=received, testers=V2)), expected)


async def test_forwarded_says_where_the_header_gets_lost(mesh: Any) -> None:
    outcome = await dark_release.forwarded(mesh(received={"(none)": 1.0}, at_gateway={"staff-v2": 1.0}))
    assert isinstance(outcome, Fail)
    assert outcome.saw == ("of 135 requests with the header, 135 came to api-gateway with it and 0 to staff-service")


@pytest.mark.parametrize(("desk", "expected"), [(V2, Pass), (GAP, Fail), (V1, Fail), (BROKEN_V2, Fail)])
async def test_dispatch(mesh: Any, desk: Any, expected: Any) -> None:
    assert isinstance(await dark_release.dispatch(mesh(desk=desk)), expected)


async def test_without_the_desk_nothing_can_be_said(mesh: Any) -> None:
    with pytest.raises(CannotJudge, match="the dispatch desk is not there"):
        await dark_release.dispatch(mesh(desk_there=False))


@pytest.mark.parametrize(("other", "expected"), [(V1, Pass), (LEAK, Fail), (V2, Fail), (BROKEN_V1, Fail)])
async def test_others(mesh: Any, other: Any, expected: Any) -> None:
    assert isinstance(await dark_release.others(mesh(other=other)), expected)


@pytest.mark.parametrize(
    ("copies", "expected"), [(0.5, Pass), *((share, Fail) for share in (0.0, 0.1, 0.25, 0.75, 1.0))]
)
async def test_mirrored(mesh: Any, copies: Any, expected: Any) -> None:
    assert isinstance(await dark_release.mirrored(mesh(copies=copies)), expected)


async def test_requests_that_version_2_answers_itself_are_no_copies(mesh: Any) -> None:
    outcome = await dark_release.mirrored(mesh(customers={"v1": 0.5, "v2": 0.5}))
    assert isinstance(outcome, Fail)
    assert outcome.saw.startswith("0 copies of 236 requests")


async def test_copies_that_are_under_way_are_waited_for(mesh: Any) -> None:
    assert isinstance(await dark_release.mirrored(mesh(copies=0.5, late=4)), Pass)


async def test_a_lost_mark_is_no_missing_mirror(mesh: Any) -> None:
    outcome = await dark_release.mirrored(mesh(copies=0.5, lost=True))
    assert isinstance(outcome, Fail)
    assert "FORWARD_HEADERS" in outcome.hint


async def test_customers_without_an_answer_are_no_sample(mesh: Any) -> None:
    outcome = await dark_release.mirrored(mesh(copies=0.5, customers=BROKEN_V1))
    assert isinstance(outcome, Fail)
    assert "no good answer" in outcome.reason


async def test_a_pod_that_does_not_tell_cannot_be_judged(mesh: Any) -> None:
    with pytest.raises(CannotJudge, match="does not tell what it counted: curl"):
        await dark_release.mirrored(mesh(copies=0.5, silent=True))


async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any) -> None:
    for judge in (
        *(dark_release.hidden, dark_release.routed, dark_release.forwarded, dark_release.testers),
        *(dark_release.dispatch, dark_release.others, dark_release.mirrored),
    ):
        with pytest.raises(CannotJudge, match="not set up"):
            await judge(mesh(services=()))


def test_the_error_rates_are_as_stated() -> None:
    for proportion in (dark_release.OLD_ONLY, dark_release.NEW_ONLY, dark_release.HALF):
        assert proportion.design.false_fail <= 1e-6
        assert proportion.design.miss <= 1e-3
