"""The checks of the lab `fault-injection`: find a fault, make a service slow and unreliable, cure both.

A fault sits in the proxy of api-gateway, which calls position-tracker; a cure sits nearer to the customer (in the
proxies of web and of the ingress gateway). So two samples tell them apart: the probe outside the mesh, which has no
proxy of its own, asks api-gateway directly and sees the fault as it is; through the ingress gateway it sees what
customers get.

What can be told by an answer's content is not judged by time: only Envoy's own timeout says "upstream request timeout".
"""

from __future__ import annotations

from meshdojo.checks.failures import Failures
from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.mesh import GATEWAY_URL, Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.proportion import Proportion, unanswered
from meshdojo.checks.registry import check

NAMESPACE = "fleet"
CUSTOMERS = f"{GATEWAY_URL}/api/vehicles"
API_GATEWAY = f"http://api-gateway.{NAMESPACE}/api/vehicles"
POSITIONS = f"http://position-tracker.{NAMESPACE}/positions"
DRILL = (("x-fleet-drill", "slow"),)
VEHICLES = ("city-truck", "harbour-van", "hill-lorry", "market-bike")
# What a delay is allowed to be: the task says 2 s. No answer comes before its delay is over, however fast the machine.
SHORTEST, LONGEST = 1.9, 4.0
FIRST_LOOK = 8
ENVOY_TIMEOUT, ENVOY_ABORT = "upstream request timeout", "fault filter abort"

# Each vehicle: the nearest wrong share is every second request.
NAMED = Proportion("200", right=1, below=0.5)
# Delays are for all drill requests; four in five is the nearest wrong share.
SLOW = Proportion("200", right=1, below=0.8)
# Customers outside the drill: one in fifty may have bad luck on a busy machine; a rule that hits most of them is wrong.
SPARED = Failures(right=0.02, above=0.5)
# Three in ten, against `value: 0.3` and `value: 3`, and against nearly everything.
ABORTED = Failures(right=0.3, below=0.03, above=0.8)
OTHERS = Proportion("200", right=1, below=0.8)
# A single further try leaves 9 %, none 30 %.
RETRIED = Failures(right=0.09, above=0.3)


@check("fault-injection.driver", title="Every vehicle has its driver", sends_load=True)
async def driver(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    for vehicle in VEHICLES:
        request = Request(f"{CUSTOMERS}/{vehicle}", NAMED.design.requests, count_by="status")
        measured = await mesh.measure(request)
        if measured.counts.total() != measured.requests:
            return Fail(
                f"Customers cannot see who drives {vehicle}.",
                f"/api/vehicles/{vehicle}: {measured.trouble()}",
                f"{measured.requests} of {measured.requests} requests answered with status 200, for each vehicle",
                "The proxy that answered in place of a service says so in its log: look for the flag FI, and take the "
                "name of the route from the end of that line. An injected error is not retried.",
            )
    return Pass(f"{', '.join(VEHICLES)}: all requests answered with status 200")


@check("fault-injection.slow", title="In the drill, position-tracker answers 2 seconds late", sends_load=True)
async def slow(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(_all_at_once(API_GATEWAY))
    if broken := unanswered(measured):
        return broken
    saw = f"{measured.requests} answers, the fastest after {measured.fastest:.1f} s"
    expected = "no answer before 2 seconds are over, and every one soon after"
    if measured.fastest < SHORTEST:
        return Fail(
            "Not every request of the drill is delayed.",
            saw,
            expected,
            "A fault without a percentage never strikes: percentage: {value: 100}. And the route with the match on "
            "x-fleet-drill must stand before the one without a match.",
        )
    if measured.fastest > LONGEST:
        return Fail("The delay is too long.", saw, expected, "fixedDelay: 2s")
    return Pass(saw)


@check("fault-injection.spared", title="Customers outside the drill notice nothing", sends_load=True)
async def spared(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    # A delay for all shows at once, in the fastest: four at a time would make the learner wait for the answer.
    first = await mesh.measure(Request(CUSTOMERS, FIRST_LOOK, count_by="status", concurrency=FIRST_LOOK))
    if first.fastest >= SHORTEST:
        return _have_to_wait(f"{first.requests} answers, the fastest after {first.fastest:.1f} s")
    measured = await mesh.measure(_few_at_a_time(SPARED.design.requests))
    failing = SPARED.judge(
        measured,
        too_few=("", ""),
        too_many=(
            "Customers who are not part of the drill get errors.",
            "Requests without the header need a route, too: a last one without a match and without a fault. And a "
            "timeout must leave enough time for an ordinary answer.",
        ),
    )
    if isinstance(failing, Fail):
        return failing
    saw = f"nine in ten of {measured.requests} answers within {measured.most:.2f} s"
    if measured.most >= SHORTEST:
        return _have_to_wait(saw)
    return Pass(saw)


@check("fault-injection.timeout", title="In the drill, an answer comes before two seconds are over", sends_load=True)
async def timeout(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(_all_at_once(CUSTOMERS))
    expected = "every request of the drill is cut off by a proxy's timeout, before position-tracker's answer is there"
    good = measured.counts.total()
    if good and measured.fastest < SHORTEST:
        return Fail(
            "The drill is over: requests with x-fleet-drill: slow are answered as fast as any other.",
            f"{good} of {measured.requests} answered with status 200, the fastest after {measured.fastest:.1f} s",
            expected,
            "Leave the delay in. Only a cure that works while the service is slow is worth anything.",
        )
    if good:
        return Fail(
            "The customer of a slow position-tracker still waits to the end.",
            f"{good} of {measured.requests} answered with status 200, none before {measured.fastest:.1f} s",
            expected,
            "A delay that the proxy injects does not count towards the timeout of the same route, as the request has "
            "not yet been sent. Put the timeout on a route nearer to the customer: the one that leads to api-gateway.",
        )
    if not _said(measured, ENVOY_TIMEOUT):
        return Fail(
            "Requests of the drill fail, but not by a timeout.",
            measured.trouble(),
            expected,
            measured.explanation(),
        )
    return Pass(f"{measured.requests} requests cut off: {ENVOY_TIMEOUT}")


@check("fault-injection.aborts", title="Three in ten requests of api-gateway to position-tracker fail", sends_load=True)
async def aborts(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(Request(API_GATEWAY, ABORTED.design.requests, count_by="status"))
    outcome = ABORTED.judge(
        measured,
        too_few=(
            "What api-gateway asks of position-tracker does not fail often enough.",
            "percentage: {value: 30} means 30 %; 0.3 would be three in a thousand, no percentage at all never. Does "
            "the route's sourceLabels name the labels of api-gateway's pods?",
        ),
        too_many=(
            "What api-gateway asks of position-tracker fails too often.",
            "The abort's percentage is 30. Does anything else fail, too? The flags in the logs of api-gateway's proxy "
            "tell.",
        ),
    )
    if isinstance(outcome, Pass) and not _said(measured, ENVOY_ABORT):
        return Fail("Requests fail, but not by an injected abort.", measured.trouble(), ABORTED.expected, "fault.abort")
    return outcome


@check("fault-injection.one-caller", title="Other callers of position-tracker are spared", sends_load=True)
async def one_caller(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    request = Request(POSITIONS, OTHERS.design.requests, place="inside", count_by="status")
    measured = await mesh.measure(request)
    if measured.counts.total() == measured.requests:
        return Pass(f"{measured.requests} requests of another caller, each answered with status 200")
    return Fail(
        "A caller that is not api-gateway meets errors as well.",
        measured.trouble(),
        f"{measured.requests} of {measured.requests} requests answered with status 200",
        "A match with sourceLabels: {app: api-gateway} holds for that caller's proxies alone. All others need a route "
        "without a fault, at the end.",
    )


@check("fault-injection.retried", title="Fewer than one in ten customers get an error", sends_load=True)
async def retried(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(_few_at_a_time(RETRIED.design.requests))
    return RETRIED.judge(
        measured,
        too_few=("", ""),
        too_many=(
            "Too many customers get an error.",
            "Injected aborts are not retried by the route that injects them. The route that leads to api-gateway can "
            "retry api-gateway's own answer; which status does it have, and does retryOn name it?",
        ),
    )


def _have_to_wait(saw: str) -> Fail:
    return Fail(
        "Customers who are not part of the drill have to wait.",
        saw,
        "answers as fast as ever",
        "The delay belongs to a route whose match asks for the header x-fleet-drill: slow.",
    )


def _few_at_a_time(requests: int) -> Request:
    """Customers' requests: on a busy machine many would only wait for each other, until their own timeout strikes."""
    return Request(CUSTOMERS, requests, count_by="status", concurrency=4)


def _all_at_once(url: str) -> Request:
    """Requests of the drill, side by side: they take no longer than one."""
    requests = SLOW.design.requests
    return Request(url, requests, headers=DRILL, count_by="status", concurrency=requests)


def _said(measured: Measurement, words: str) -> bool:
    """Whether each kind of failure carries these words (each kind's first example)."""
    failures = [kind for kind in (*measured.statuses, *measured.errors) if not kind.startswith("2")]
    return bool(failures) and all(words in measured.examples.get(kind, "") for kind in failures)


async def require_lab(mesh: Mesh) -> None:
    """Raises CannotJudge when the lab's application is not there: nothing that a learner is asked to do removes it."""
    if not await mesh.list("services", NAMESPACE):
        raise CannotJudge(
            f"namespace {NAMESPACE} has no services: the lab is not set up", "meshdojo reset fault-injection"
        )
