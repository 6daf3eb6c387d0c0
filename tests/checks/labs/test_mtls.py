"""The checks of the lab `mtls` against a mesh that answers as told."""

import json
from typing import Any

import pytest

from meshdojo.checks.labs import mtls
from meshdojo.checks.mesh import GATEWAY_URL
from meshdojo.checks.outcome import CannotJudge, Fail, Pass
from meshdojo.checks.reach import CONTROL_URL, plan
from meshdojo.cluster.streams import ExecResult

pytestmark = pytest.mark.anyio

ANSWERED, RESET, CLOSED, REFUSED, BROKEN = "answered", "reset", "closed", "refused", "503"
N = plan().requests
FLEET = [mtls.url(service) for service in mtls.SERVICES]


def seen_as(namespace: str) -> str:
    uri = f'By=spiffe://cluster.local/ns/fleet/sa/default;Hash=x;Subject="";URI=spiffe://cluster.local/ns/{namespace}/sa/x'
    return json.dumps({"headers": {"x-forwarded-client-cert": uri}}) + "\n"


class Mesh:
    """`outside` and `inside` map URLs to what comes of their requests; what is not told answers.

    `stale` is how many requests from inside are answered by the old rules before the rest meets its fate.
    """

    def __init__(self, measurement: Any, pod: Any, **state: Any) -> None:
        self._measurement = measurement
        self._fates = {"outside": state.get("outside", {}), "inside": state.get("inside", {})}
        self._stale: int = state.get("stale", 0)
        self._ran = state.get("ran", {})
        services = state.get("services", mtls.SERVICES)
        self._objects = {
            ("services", "fleet"): [{"metadata": {"name": name}} for name in services],
            ("pods", "fleet"): [pod("client-1", app="client")][: state.get("clients", 1)],
            ("pods", "accounts"): [
                pod(f"payroll-{number}", "accounts", app="payroll") for number in range(state.get("payrolls", 1))
            ],
            (mtls.POLICIES, mtls.ROOT): state.get("policies", []),
        }
        self.commands: list[Any] = []

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._objects[resource, namespace]

    async def measure(self, request: Any) -> Any:
        fate = self._fates[request.place].get(request.url, ANSWERED)
        number = request.requests
        if fate == ANSWERED:
            return self._measurement({"200": number})
        if fate == BROKEN:
            good = self._stale
            counts, statuses = ({"200": good} if good else {}), {"503": number - good} | ({"200": good} if good else {})
            return self._measurement(counts, statuses, examples={"503": "connection termination"})
        return self._measurement({}, errors={fate: number})

    async def run(self, pod: Any, command: Any, seconds: Any = 0) -> ExecResult:
        self.commands.append(command)
        name = pod["metadata"]["name"]
        code, said = self._ran.get(name, (0, seen_as(pod["metadata"]["namespace"]) * mtls.QUESTIONS))
        return ExecResult(code, said.encode(), said.encode())


@pytest.fixture
def mesh(measurement: Any, pod: Any) -> Any:
    return lambda **state: Mesh(measurement, pod, **state)


TRACKER = mtls.url("position-tracker")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"outside": {TRACKER: RESET}}, ""),
        ({"outside": {TRACKER: CLOSED}}, ""),
        ({}, "position-tracker.fleet answers callers that show no certificate."),
        ({"outside": {TRACKER: REFUSED}}, "position-tracker.fleet does not refuse plain text: it cannot be reached"),
        ({"outside": {TRACKER: BROKEN}}, "position-tracker.fleet answers callers"),
        ({"outside": {TRACKER: RESET}, "inside": {TRACKER: BROKEN}}, "position-tracker.fleet does not serve callers"),
        (
            {"outside": {TRACKER: RESET}, "inside": {TRACKER: BROKEN}, "stale": 4},
            "position-tracker.fleet does not serve",
        ),
    ],
)
async def test_tracker_locked(mesh: Any, state: Any, reason: Any) -> None:
    judged(await mtls.tracker_locked(mesh(**state)), reason)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"outside": {TRACKER: RESET}}, ""),
        ({"outside": {TRACKER: RESET, mtls.url("web"): RESET}}, "web refuses callers"),
        ({"outside": {mtls.url("staff-service"): RESET}}, "staff-service refuses callers"),
    ],
)
async def test_others_open(mesh: Any, state: Any, reason: Any) -> None:
    judged(await mtls.others_open(mesh(**state)), reason)


async def test_a_refusal_proves_nothing_when_the_probe_reaches_nothing(mesh: Any) -> None:
    dead = {CONTROL_URL: RESET, **dict.fromkeys([*FLEET, mtls.FEED_URL], RESET)}
    for check in (mtls.tracker_locked, mtls.fleet_strict, mtls.mesh_strict):
        with pytest.raises(CannotJudge, match="does not even reach istiod"):
            await check(mesh(outside=dead))


PLAIN = json.dumps({"headers": {}}) + "\n"


@pytest.mark.parametrize(
    ("ran", "reason"),
    [
        (None, ""),
        ((56, "curl: (56) Recv failure: Connection reset by peer"), "payroll-0 does not reach staff-service."),
        ((0, PLAIN * 2), "payroll-0 speaks plain text"),
        ((0, seen_as("accounts") + PLAIN), "payroll-0 speaks plain text"),
        ((0, seen_as("elsewhere")), "payroll-0 speaks plain text"),
        ((0, seen_as("accounts") + "upstream connect error or disconnect"), "payroll-0 gets no good answer"),
    ],
)
async def test_payroll(mesh: Any, ran: Any, reason: Any) -> None:
    judged(await mtls.payroll(mesh(ran={"payroll-0": ran} if ran else {})), reason)


async def test_every_pod_of_payroll_counts_and_one_is_needed(mesh: Any) -> None:
    judged(await mtls.payroll(mesh(payrolls=2, ran={"payroll-1": (0, PLAIN)})), "payroll-1 speaks plain text")
    judged(await mtls.payroll(mesh(payrolls=0)), "No pod of payroll is ready.")


async def test_staff_encrypted_asks_a_pod_of_the_fleet(mesh: Any) -> None:
    state = mesh()
    judged(await mtls.staff_encrypted(state), "")
    assert state.commands[0].count(mtls.STAFF_URL) == mtls.QUESTIONS
    judged(await mtls.staff_encrypted(mesh(ran={"client-1": (0, PLAIN)})), "client-1 speaks plain text")
    with pytest.raises(CannotJudge, match="no pod of the Deployment client"):
        await mtls.staff_encrypted(mesh(clients=0))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"outside": dict.fromkeys(FLEET, RESET)}, ""),
        ({"outside": dict.fromkeys(FLEET[1:], RESET)}, "web.fleet answers callers"),
        ({"outside": dict.fromkeys(FLEET[:-1], RESET)}, "staff-service.fleet answers callers"),
        (
            {"outside": dict.fromkeys(FLEET, RESET), "inside": {mtls.url("staff-service"): BROKEN}, "stale": 2},
            "staff-service.fleet does not serve callers in the mesh.",
        ),
        ({"outside": dict.fromkeys(FLEET, RESET), "inside": {mtls.url("web"): BROKEN}}, ""),
    ],
)
async def test_fleet_strict(mesh: Any, state: Any, reason: Any) -> None:
    judged(await mtls.fleet_strict(mesh(**state)), reason)


async def test_customers(mesh: Any) -> None:
    judged(await mtls.customers(mesh()), "")
    url = f"{GATEWAY_URL}/api/vehicles"
    broken = await mtls.customers(mesh(outside={url: BROKEN}, stale=2))
    judged(broken, f"{mtls.SERVED.design.requests - 2} of {mtls.SERVED.design.requests} requests got no good answer.")


async def test_connections_from_before_the_rules_are_used_up_first(mesh: Any) -> None:
    made, asked = mesh(), []
    measure = made.measure

    async def first_meets_the_end_of_a_connection(request: Any) -> Any:
        asked.append(request.requests)
        made._fates["outside"] = {request.url: BROKEN} if len(asked) == 1 else {}
        return await measure(request)

    made.measure = first_meets_the_end_of_a_connection
    judged(await mtls.customers(made), "")
    assert asked == [mtls.USED_UP, mtls.SERVED.design.requests]


def policy(mode: Any, name: Any = "default", created: Any = "2026-01-01T00:00:00Z", **labels: Any) -> Any:
    spec = {"mtls": {"mode": mode}} if mode else {}
    if labels:
        spec["selector"] = {"matchLabels": labels}
    return {"metadata": {"name": name, "creationTimestamp": created}, "spec": spec}


ALL = dict.fromkeys([mtls.FEED_URL, *FLEET], RESET)
OLDER = "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"outside": ALL, "policies": [policy("STRICT")]}, ""),
        ({"outside": ALL, "policies": [policy("STRICT"), policy("PERMISSIVE", "b", OLDER, app="istiod")]}, ""),
        ({"outside": ALL, "policies": [policy("STRICT", created=OLDER), policy("PERMISSIVE", "a")]}, ""),
        ({"outside": ALL}, "A namespace that is made tomorrow"),
        ({"outside": ALL, "policies": [policy("STRICT", app="istiod")]}, "A namespace that is made tomorrow"),
        (
            {"outside": ALL, "policies": [policy("STRICT"), policy("PERMISSIVE", "b", OLDER)]},
            "A namespace that is made",
        ),
        ({"outside": ALL, "policies": [policy(None)]}, "A namespace that is made tomorrow"),
        ({"outside": dict.fromkeys(FLEET, RESET), "policies": [policy("STRICT")]}, "feed.partners answers callers"),
        (
            {"outside": ALL, "policies": [policy("STRICT")], "inside": {mtls.FEED_URL: BROKEN}},
            "feed.partners does not serve",
        ),
    ],
)
async def test_mesh_strict(mesh: Any, state: Any, reason: Any) -> None:
    judged(await mtls.mesh_strict(mesh(**state)), reason)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"outside": {mtls.FEED_URL: RESET}}, ""),
        ({"outside": {mtls.STATUS_URL: RESET}}, "The monitoring, which has no sidecar,"),
        ({"inside": {mtls.STATUS_URL: BROKEN}}, "feed.partners:9000 does not serve callers in the mesh."),
    ],
)
async def test_status_port(mesh: Any, state: Any, reason: Any) -> None:
    judged(await mtls.status_port(mesh(**state)), reason)


async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any) -> None:
    for check in (
        *(mtls.tracker_locked, mtls.others_open, mtls.payroll, mtls.staff_encrypted),
        *(mtls.fleet_strict, mtls.customers, mtls.mesh_strict, mtls.status_port),
    ):
        with pytest.raises(CannotJudge, match="lacks web: the lab is not set up"):
            await check(mesh(services=mtls.SERVICES[1:]))


def test_the_error_rates_are_as_stated() -> None:
    for design in (mtls.SERVED.design, plan()):
        assert design.false_fail <= 1e-6
        assert design.miss <= 1e-3
        assert design.low == design.requests


def judged(outcome: Any, reason: str) -> None:
    """Pass where `reason` is empty, else a Fail whose reason begins so."""
    assert isinstance(outcome, Fail if reason else Pass), outcome
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith(reason), outcome.reason
        assert all((outcome.saw, outcome.expected, outcome.hint))
