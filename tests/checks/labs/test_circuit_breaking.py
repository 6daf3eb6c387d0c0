"""The checks of the lab `circuit-breaking` against proxies that behave as told."""

import json
from collections import Counter
from typing import Any

import pytest

from meshdojo.checks.binomial import probability
from meshdojo.checks.labs import circuit_breaking as lab
from meshdojo.checks.mesh import GATEWAY_URL
from meshdojo.checks.outcome import CannotJudge, Fail, Pass

pytestmark = pytest.mark.anyio

SERVICES = [{"metadata": {"name": "web", "namespace": "fleet"}}]
ALL = (lab.ejected, lab.bounded, lab.overflow, lab.room, lab.visible, lab.degraded)
RULE = {"consecutive_5xx": 3, "base_ejection_time": "60s", "max_ejection_percent": 50}
OVERFLOW = "upstream connect error or disconnect/reset before headers. reset reason: overflow"


def cluster(service: str, outliers: Any = None, thresholds: Any = None, subset: str = "") -> Any:
    found: dict[str, Any] = {"name": f"outbound|80|{subset}|{service}.fleet.svc.cluster.local"}
    if outliers is not None:
        found["outlier_detection"] = outliers
    if thresholds is not None:
        found["circuit_breakers"] = {"thresholds": [thresholds]}
    return {"cluster": found}


def counters(*names: str, service: str = "staff-service") -> str:
    return "".join(f"cluster.outbound|80||{service}.fleet.svc.cluster.local;.{name}: 0\n" for name in names)


class Mesh:
    """`shares`: per URL the shares of statuses, for each sample. `out`: whether a pod is out, at each look."""

    def __init__(self, measurement: Any, pods: Any, **state: Any) -> None:
        self._measurement = measurement
        self._objects = {"pods": pods, "services": SERVICES} | state.get("objects", {})
        self._shares = {url: list(samples) for url, samples in state.get("shares", {}).items()}
        self._labels = state.get("labels", {})
        self._body = state.get("body", "")
        self._clusters = state.get("clusters", [])
        out = state.get("out", False)
        self._out = list(out) if isinstance(out, tuple) else [out]
        self._stats = state.get("stats", "")
        self.asked: list[Any] = []
        self.paths: list[str] = []

    async def measure(self, request: Any) -> Any:
        self.asked.append(request)
        samples = self._shares.get(request.url, [{"200": 1.0}])
        shares = samples.pop(0) if len(samples) > 1 else samples[0]
        statuses = Counter({status: round(request.requests * share) for status, share in shares.items()})
        good = statuses["200"]
        return self._measurement(
            Counter({self._labels.get(request.url, "200"): good}), +statuses, None, {"503": self._body}
        )

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._objects[resource]

    async def inside(self) -> Any:
        return {"metadata": {"name": "probe", "namespace": "meshdojo-probe"}}

    async def ask_proxy(self, pod: Any, path: str) -> str:
        self.paths.append(path)
        if path == "stats":
            return str(self._stats)
        if path.startswith("config_dump"):
            return json.dumps({"configs": self._clusters})
        out = self._out.pop(0) if len(self._out) > 1 else self._out[0]
        address = {"socket_address": {"address": "10.0.0.9", "port_value": 8080}}
        hosts = [{"address": address, "health_status": {"failed_outlier_check": True} if out else {}}]
        name = "outbound|80||staff-service.fleet.svc.cluster.local"
        return json.dumps({"cluster_statuses": [{"name": "xds-grpc"}, {"name": name, "host_statuses": hosts}]})


@pytest.fixture
def mesh(measurement: Any, pod: Any) -> Any:
    pods = [
        pod("staff-1", app="staff-service", version="v1"),
        pod("staff-2", app="staff-service", version="risky"),
        pod("api-1", app="api-gateway", version="v1"),
    ]
    return lambda **state: Mesh(measurement, pods, **state)


def reason_of(outcome: Any) -> Any:
    """Why it failed; None when it passed."""
    assert isinstance(outcome, Pass | Fail)
    return outcome.reason if isinstance(outcome, Fail) else None


@pytest.mark.parametrize("check", ALL)
async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any, check: Any) -> None:
    with pytest.raises(CannotJudge, match="not set up"):
        await check(mesh(objects={"services": []}))


LEARNING, LEARNT, FAILING = {"200": 0.9, "500": 0.1}, {"200": 1.0}, {"200": 0.5, "500": 0.5}


@pytest.mark.parametrize(
    ("samples", "rule", "out", "reason"),
    [
        ([LEARNING, LEARNT], RULE, True, None),
        ([LEARNT, LEARNT], RULE, True, None),  # taken out by an earlier run
        ([LEARNT, {"200": 0.85, "500": 0.15}], RULE, True, None),  # its minute has just ended
        ([LEARNT, LEARNING, LEARNT], RULE, (False, True), None),  # and here a moment earlier
        ([LEARNT], RULE, False, "Outlier detection is there, but takes no pod out."),  # nobody asks the failing pod
        ([LEARNT, {"503": 1.0}], RULE, False, "41 of 41 requests got no good answer."),
        ([LEARNING, LEARNT], RULE | {"consecutive_5xx": 5}, True, None),
        ([FAILING], None, False, "Nobody is taken out: callers of staff-service have no outlier detection."),
        ([FAILING], RULE | {"max_ejection_percent": 10}, False, "Outlier detection is there, but takes no pod out."),
        ([FAILING], {"consecutive_5xx": 0}, False, "Outlier detection is there, but takes no pod out."),
        ([FAILING], RULE | {"consecutive_5xx": 20}, False, "The breaker waits for too many errors."),
        ([LEARNING, FAILING], RULE, True, "A pod was taken out, and requests fail all the same."),
        ([{"503": 1.0}], RULE, True, "40 of 40 requests got no good answer."),
    ],
)
async def test_ejected(
    mesh: Any, samples: Any, rule: Any, out: Any, reason: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "EJECTION_SECONDS", 0)
    state = mesh(shares={lab.STAFF_URL: samples}, clusters=[cluster("staff-service", rule)], out=out)
    assert reason_of(await lab.ejected(state)) == reason
    assert {request.place for request in state.asked} == {"inside"}  # no ejection in a proxy of the learner's


@pytest.mark.parametrize("rule", [RULE | {"max_ejection_percent": 10}, RULE | {"consecutive_5xx": 0}])
async def test_a_rule_that_can_never_act_is_not_waited_for(mesh: Any, rule: Any) -> None:
    state = mesh(shares={lab.STAFF_URL: [FAILING]}, clusters=[cluster("staff-service", rule)])
    assert reason_of(await lab.ejected(state)) == "Outlier detection is there, but takes no pod out."
    assert len([path for path in state.paths if path.startswith("clusters")]) == 1


async def test_without_a_failing_pod_there_is_nothing_to_take_out(mesh: Any, pod: Any) -> None:
    state = mesh(objects={"pods": [pod("staff-1", app="staff-service", version="v1")]})
    assert reason_of(await lab.ejected(state)) == "There is no failing pod any more."
    assert state.asked == []


async def test_the_two_samples_are_not_one(mesh: Any) -> None:
    """A run answers equal requests from one sample."""
    state = mesh(clusters=[cluster("staff-service", RULE)], out=True)
    await lab.ejected(state)
    assert len(set(state.asked)) == 2


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (RULE, None),
        ({}, "A pod that was left out comes back too soon."),
        ({"base_ejection_time": "120s"}, None),
        (RULE | {"max_ejection_percent": 67}, None),
        (RULE | {"max_ejection_percent": 100}, "All pods may be left out."),
        (RULE | {"base_ejection_time": "30s"}, "A pod that was left out comes back too soon."),
        (RULE | {"base_ejection_time": "0.500s"}, "A pod that was left out comes back too soon."),
        (None, "Callers of staff-service have no outlier detection."),
    ],
)
async def test_bounded(mesh: Any, rule: Any, reason: Any) -> None:
    others = cluster("web", {"max_ejection_percent": 100})
    outcome = await lab.bounded(mesh(clusters=[others, cluster("staff-service", rule)]))
    assert reason_of(outcome) == reason


async def test_a_subset_s_own_rule_counts(mesh: Any) -> None:
    rules = [cluster("staff-service"), cluster("staff-service", RULE | {"max_ejection_percent": 100}, subset="v1")]
    assert reason_of(await lab.bounded(mesh(clusters=rules))) == "All pods may be left out."


NARROW = {"max_connections": 4, "max_pending_requests": 4, "max_requests": 4294967295}
REQUESTS = {"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 8}
WIDE = {"max_connections": 10, "max_pending_requests": 10, "max_requests": 4294967295}


@pytest.mark.parametrize(
    ("answered", "thresholds", "body", "reason"),
    [
        (8, NARROW, OVERFLOW, None),
        (10, NARROW, OVERFLOW, None),  # two workers
        (18, NARROW, OVERFLOW, None),  # a slow machine sends them one after the other
        (8, REQUESTS, OVERFLOW, None),
        (24, {}, "", "Nothing, or too little, is turned away."),
        (24, NARROW, "", "Nothing, or too little, is turned away."),
        (18, WIDE, OVERFLOW, "The limits are too wide."),
        (8, NARROW, "no healthy upstream", "Requests are refused, but not by a limit of the proxy."),
    ],
)
async def test_overflow(mesh: Any, answered: int, thresholds: Any, body: str, reason: Any) -> None:
    share = answered / lab.BURST
    shares = {lab.HISTORY_URL: [{"200": share, "503": 1 - share}]}
    state = mesh(shares=shares, body=body, clusters=[cluster("position-tracker", None, thresholds)])
    assert reason_of(await lab.overflow(state)) == reason
    assert state.asked[0].concurrency == lab.BURST


@pytest.mark.parametrize(("thresholds", "reason"), [(NARROW, None), (WIDE, "The limits are too wide.")])
async def test_limits_of_a_subset_are_limits(mesh: Any, thresholds: Any, reason: Any) -> None:
    """Requests take the one or the other: which, the overflow has told."""
    clusters = [cluster("position-tracker", thresholds={}), cluster("position-tracker", None, thresholds, "limited")]
    state = mesh(shares={lab.HISTORY_URL: [{"200": 0.5, "503": 0.5}]}, body=OVERFLOW, clusters=clusters)
    assert reason_of(await lab.overflow(state)) == reason


@pytest.mark.parametrize(("answered", "expected"), [(4, Pass), (3, Fail), (1, Fail), (0, Fail)])
async def test_room(mesh: Any, answered: int, expected: Any) -> None:
    share = answered / lab.ROOM
    shares = {lab.HISTORY_URL: [{"200": share, "503": 1 - share}]}
    assert isinstance(await lab.room(mesh(shares=shares, body=OVERFLOW)), expected)


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        (counters(*(f"{name}.x" for name in lab.COUNTERS)), Pass),
        (counters("outlier_detection.x", "circuit_breakers.x") + counters(lab.OVERFLOWED, service=lab.POSITIONS), Pass),
        (counters("outlier_detection.ejections_active", "circuit_breakers.default.cx_open"), Fail),
        (counters(*(f"{name}.x" for name in lab.COUNTERS), service="web"), Fail),
        ("cluster.xds-grpc.upstream_rq_pending_overflow: 0\n", Fail),
        ("", Fail),
    ],
)
async def test_visible(mesh: Any, stats: str, expected: Any) -> None:
    state = mesh(stats=stats)
    outcome = await lab.visible(state)
    assert isinstance(outcome, expected)
    assert [request.headers for request in state.asked] == [lab.DRILL]  # no pod is taken out for these


async def test_visible_needs_a_pod_to_look_into(mesh: Any, pod: Any) -> None:
    with pytest.raises(CannotJudge, match="no pod of api-gateway"):
        await lab.visible(mesh(objects={"pods": [pod("api-1", app="api-gateway", ready=False)]}))


@pytest.mark.parametrize(
    ("shares", "label", "reason"),
    [
        ({"200": 1.0}, "staff-service", None),
        ({"502": 1.0}, "staff-service", "Without staff-service, customers see an error."),
        ({"200": 0.9, "502": 0.1}, "staff-service", "Without staff-service, customers see an error."),
        ({"200": 1.0}, "(none)", "The drill is over: requests with x-fleet-drill: no-staff reach staff-service."),
    ],
)
async def test_degraded(mesh: Any, shares: Any, label: Any, reason: Any) -> None:
    url = f"{GATEWAY_URL}/api/vehicles"
    state = mesh(shares={url: [shares]}, labels={url: label})
    assert reason_of(await lab.degraded(state)) == reason
    assert state.asked[0].headers == lab.DRILL
    assert state.asked[0].concurrency < lab.ROOM  # the learner's own limits are not to refuse it


def test_the_error_rates_are_as_stated() -> None:
    for judged in (lab.LEFT_OUT, lab.DEGRADED):
        assert judged.design.false_fail <= 1e-6
        assert judged.design.miss <= 1e-3


def test_the_first_sample_gives_the_failing_pod_enough_requests() -> None:
    """Each request goes to one of two pods by chance; fewer errors than the breaker needs come once in a million."""
    assert probability(range(lab.MOST_ERRORS), lab.LEARNING, 0.5) <= 1e-6


def test_a_minute_that_ends_in_the_second_sample_is_no_fail() -> None:
    """The errors until the pod is out again, and those that are under way by then."""
    assert lab.LEFT_OUT.design.high >= lab.MOST_ERRORS + 2
