"""The checks of the lab `dark-release`: version 2 of staff-service, three hops away from whoever asks for it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from typing import Any

from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.mesh import GATEWAY_URL, Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import is_ready, selects
from meshdojo.checks.proportion import Proportion, unanswered
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object

NAMESPACE, APP, OFFICE = "fleet", "staff-service", "office"
OLD, NEW = "v1", "v2"
HEADER, VALUE = "x-fleet-preview", "staff-v2"
PREVIEW = ((HEADER, VALUE),)
STAFF_URL = f"http://{APP}.{NAMESPACE}/staff"
FRONT_URL = f"{GATEWAY_URL}/api/vehicles"
REMEDY = "meshdojo reset dark-release"

# Where an answer of web says who answered for staff-service: web -> api-gateway -> (position-tracker, staff-service).
GATEWAY_HOP = "upstreams.0"
STAFF_HOP = f"{GATEWAY_HOP}.upstreams.1"

# The alternative of each is that one request in twenty goes wrong: missed at most once in 1,000, a right mesh never
# refused. The copies are drawn by chance: a half is told from a quarter and from three quarters.
OLD_ONLY = Proportion(OLD, right=1, below=0.95)
NEW_ONLY = Proportion(NEW, right=1, below=0.95)
HALF = Proportion(NEW, right=0.5, below=0.25, above=0.75)
# The copies that a pod has not counted when the answers are in are on their way: as many looks as this without another.
QUIET_LOOKS = 3


@check("dark-release.hidden", title="Customers are answered by version 1 alone", sends_load=True)
async def hidden(mesh: Mesh) -> Outcome:
    if not await staff_pods(mesh, NEW):
        return Fail(
            "Version 2 does not run.",
            f"no ready pod with the labels app={APP}, version={NEW} in namespace {NAMESPACE}",
            "version 2 beside version 1: a dark release hides it, it does not remove it",
            f"kubectl get pods -n {NAMESPACE} -L version shows what runs.",
        )
    return OLD_ONLY.judge(
        await mesh.measure(Request(FRONT_URL, OLD_ONLY.design.requests, count_by=f"json:{STAFF_HOP}.version")),
        "Customers who did not ask for it get answers of version 2.",
        "The last route, the one without a match, must name the subset v1, and nothing else with a weight.",
    )


@check("dark-release.routed", title="Inside the mesh, the header leads to version 2", sends_load=True)
async def routed(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    request = Request(STAFF_URL, NEW_ONLY.design.requests, place="inside", headers=PREVIEW, count_by="json:version")
    return NEW_ONLY.judge(
        await mesh.measure(request),
        f"A caller in the mesh that sends {HEADER}: {VALUE} to {APP} does not get version 2.",
        f"The route belongs into a VirtualService for the host {APP} that instructs the sidecars (no gateways, or "
        "gateways: [mesh]), and the one with the header must stand before the one without a match.",
    )


@check("dark-release.forwarded", title="The header reaches staff-service, at the end of the chain", sends_load=True)
async def forwarded(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    arrived, broken = await _arrivals(mesh, f"{STAFF_HOP}.")
    if broken:
        return broken
    if arrived == NEW_ONLY.design.requests:
        return Pass(f"{arrived} of {arrived} requests came to {APP} with {HEADER}: {VALUE}")
    at_gateway, _ = await _arrivals(mesh, f"{GATEWAY_HOP}.")
    return Fail(
        f"The header {HEADER} gets lost on the way to {APP}.",
        f"of {NEW_ONLY.design.requests} requests with the header, {at_gateway} came to api-gateway with it and "
        f"{arrived} to {APP}",
        "all of them at both",
        "A sidecar cannot know which request of the application belongs to which: the application itself has to hand "
        "headers on. What comes in with the header and goes out without it is what you have to mend "
        f"(kubectl describe deployment -n {NAMESPACE}).",
    )


async def _arrivals(mesh: Mesh, hop: str) -> tuple[int, Fail | None]:
    """How many testers' requests came to a hop (``PATH.``) with the header."""
    path = f"json:{hop}received.{HEADER}"
    measured = await mesh.measure(Request(FRONT_URL, NEW_ONLY.design.requests, headers=PREVIEW, count_by=path))
    return measured.counts[VALUE], unanswered(measured)


@check("dark-release.testers", title="Testers at the front page get version 2", sends_load=True)
async def testers(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    path = f"json:{STAFF_HOP}.version"
    return NEW_ONLY.judge(
        await mesh.measure(Request(FRONT_URL, NEW_ONLY.design.requests, headers=PREVIEW, count_by=path)),
        f"Testers who send {HEADER}: {VALUE} to the front page do not get version 2 of {APP}.",
        "Two things have to be there: a route for the header at staff-service (the task before), and services that "
        "hand the header on. Follow the hops in the answer's 'upstreams'.",
    )


@check("dark-release.dispatch", title="The dispatch desk gets version 2, without a header", sends_load=True)
async def dispatch(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    desk = await _desk(mesh)
    request = Request(STAFF_URL, NEW_ONLY.design.requests, count_by="json:version")
    return NEW_ONLY.judge(
        await mesh.measure_from(desk, request),
        f"Calls of the dispatch desk (pod {desk['metadata']['name']} in namespace {OFFICE}) do not get version 2.",
        "The match says who calls, not who is called: sourceLabels are labels of the caller's pod, sourceNamespace is "
        "its namespace. The route must stand before the one without a match.",
    )


@check("dark-release.others", title="Every other caller in the mesh still gets version 1", sends_load=True)
async def others(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    request = Request(STAFF_URL, OLD_ONLY.design.requests, place="inside", count_by="json:version")
    return OLD_ONLY.judge(
        await mesh.measure(request),
        "A caller in the mesh that is not the dispatch desk gets version 2.",
        "Which labels does the desk's pod have that no other caller has? kubectl get pods -A --show-labels",
    )


@check("dark-release.mirrored", title="Version 2 gets a copy of every second request", sends_load=True)
async def mirrored(mesh: Mesh) -> Outcome:
    await staff_pods(mesh, NEW)
    run = uuid.uuid4().hex
    request = Request(
        FRONT_URL,
        HALF.design.requests,
        headers=(("baggage", f"run={run}"),),
        count_by=f"json:{STAFF_HOP}.version",
    )
    measured = await mesh.measure(request)
    if broken := unanswered(measured):
        return broken
    return judge_copies(measured, await _arrived(mesh, run))


def judge_copies(measured: Measurement, arrived: Counter[str]) -> Outcome:
    """`arrived`: what the pods of each version counted of the `measured` requests, copies included."""
    requests = measured.requests
    if not arrived.total():
        return Fail(
            "What tells the check's requests from others does not reach staff-service.",
            f"{requests} requests with the header baggage were sent, and no pod of {APP} has seen one of them",
            "the header baggage handed on by every service, as x-request-id and traceparent are",
            "Did a change to FORWARD_HEADERS take more away than it added?",
        )
    copies = arrived[NEW] - measured.counts[NEW]  # what version 2 answered itself was no copy
    saw = f"{copies} copies of {requests} requests at version 2 ({copies / requests:.0%})"
    if HALF.design.accepts(copies):
        return Pass(saw)
    return Fail(
        "Version 2 does not get a copy of every second request.",
        saw,
        f"{HALF.design.low} to {HALF.design.high} copies of {requests} requests (50 %, allowing for chance)",
        "mirror stands beside route, not in it, and names host and subset; mirrorPercentage is beside it, too, and "
        "means all requests when it is left out. Which route do the customers' requests take?",
    )


async def _arrived(mesh: Mesh, run: str) -> Counter[str]:
    """How many requests of the run the pods of each version counted, once no more come in."""
    pods = [*await staff_pods(mesh, OLD), *await staff_pods(mesh, NEW)]
    arrived, quiet = await _counted(mesh, pods, run), 0
    while quiet < QUIET_LOOKS:
        before, arrived = arrived, await _counted(mesh, pods, run)
        quiet = quiet + 1 if arrived == before else 0
    return arrived


async def _counted(mesh: Mesh, pods: list[Object], run: str) -> Counter[str]:
    """Asked in the pods themselves: no proxy lies between."""
    counted: Counter[str] = Counter()
    for answer in await asyncio.gather(*(_requests(mesh, pod) for pod in pods)):
        counted[answer["version"]] += answer["runs"].get(run, 0)
    return counted


async def _requests(mesh: Mesh, pod: Object) -> dict[str, Any]:
    """The pod's own count. Raises CannotJudge when it does not tell."""
    result = await mesh.run(pod, ["curl", "-sS", "http://localhost:8080/requests"])
    try:
        answer: dict[str, Any] = json.loads(result.stdout)
        answer["runs"], answer["version"]
    except (ValueError, KeyError, TypeError):
        said = (result.stderr or result.stdout).decode(errors="replace")[-200:]
        name = pod["metadata"]["name"]
        raise CannotJudge(f"pod {name} does not tell what it counted: {said}", REMEDY) from None
    return answer


async def _desk(mesh: Mesh) -> Object:
    for pod in await mesh.list("pods", OFFICE):
        if selects({"app": "dispatch"}, pod) and is_ready(pod):
            return pod
    raise CannotJudge(f"the dispatch desk is not there: no ready pod with app=dispatch in namespace {OFFICE}", REMEDY)


async def staff_pods(mesh: Mesh, version: str) -> list[Object]:
    """The ready pods of a version of staff-service. Raises CannotJudge when the lab is not set up."""
    if not any(one["metadata"]["name"] == APP for one in await mesh.list("services", NAMESPACE)):
        raise CannotJudge(f"namespace {NAMESPACE} has no service {APP}: the lab is not set up", REMEDY)
    labels = {"app": APP, "version": version}
    return [pod for pod in await mesh.list("pods", NAMESPACE) if selects(labels, pod) and is_ready(pod)]
