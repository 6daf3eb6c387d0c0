"""The checks of the lab `circuit-breaking`: outlier detection, connection pools, counters, a fallback.

Breakers live in the callers' proxies, so the proxy that is tried here is the probe's own: what a check makes it
remember about a pod is nothing that a learner meets in theirs. It goes when the DestinationRule goes, as Envoy then has
a new cluster. Proxies of a real cluster have several worker threads, each of which may have a request under way: so
nothing here counts exactly.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshdojo.checks.failures import Failures
from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.mesh import GATEWAY_URL, Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import has_sidecar, is_ready
from meshdojo.checks.proportion import Proportion, unanswered
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object

NAMESPACE = "fleet"
STAFF, POSITIONS, API_GATEWAY = "staff-service", "position-tracker", "api-gateway"
STAFF_URL = f"http://{STAFF}.{NAMESPACE}/staff"
HISTORY_URL = f"http://{POSITIONS}.{NAMESPACE}/history"
API_GATEWAY_URL = f"http://{API_GATEWAY}.{NAMESPACE}/api/vehicles"
DRILL = (("x-fleet-drill", "no-staff"),)

# With one of two pods failing, each request fails with probability 1/2 as long as nobody is taken out. In the first
# sample the bad pod gets five requests or more (but for one time in ten million), the most that a breaker may wait for.
MOST_ERRORS = 5
LEARNING = 40
LEARNING_AGAIN = LEARNING + 1  # a run answers equal requests from one sample
# In the second one no request may fail, or only as many as it takes to take the pod out again, should its minute have
# ended just then, and those that were under way: at most one in seven. Half of them fail where nobody is taken out.
LEFT_OUT = Failures(right=0.02, above=0.5)
EJECTION_SECONDS = 5.0
LOOK_SECONDS = 0.1
LONGEST_REST = 60.0
# Of 24 at once 8 are at work or waiting, a few more with several workers, and some more when a slow machine takes half
# a second to send them. Without a limit each of them is answered.
BURST, REFUSED = 24, 6
ROOM = 4
LARGEST_LIMIT = 16
DEGRADED = Proportion(STAFF, right=1, below=0.8)
OVERFLOWED = "upstream_rq_pending_overflow"
COUNTERS = ("outlier_detection", "circuit_breakers", OVERFLOWED)


@check("circuit-breaking.ejected", title="A pod that fails is left out after three errors", sends_load=True)
async def ejected(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    expected = "after three errors in a row the failing pod is left out, and no further request fails"
    if not await _risky(mesh):
        return Fail(
            "There is no failing pod any more.",
            f"no ready pod with the labels app={STAFF}, version=risky",
            expected,
            "The next bad build comes for certain, and then nobody is there to delete its pod. 'meshdojo reset "
            "circuit-breaking' brings it back.",
        )
    proxy = await mesh.inside()
    first = await mesh.measure(_ask_staff(LEARNING))
    saw = _failed(first)
    if unreached := _other_trouble(first):
        return unreached
    rules = [cluster for cluster in await clusters(mesh, proxy, STAFF) if cluster.outliers is not None]
    if not rules:
        return Fail(
            "Nobody is taken out: callers of staff-service have no outlier detection.",
            saw,
            expected,
            "A DestinationRule for the host staff-service, with trafficPolicy.outlierDetection.",
        )
    if patient := next((rule for rule in rules if rule.errors > MOST_ERRORS), None):
        return Fail(
            "The breaker waits for too many errors.",
            f"{saw}; a pod is taken out after {patient.errors} errors in a row",
            expected,
            "consecutive5xxErrors: 3",
        )
    pods = len(await _ready_pods(mesh, STAFF))
    never = all(rule.errors == 0 or rule.most * pods < 100 for rule in rules)
    patience = 0 if never else EJECTION_SECONDS
    failed = first.counts.total() < first.requests
    out = await _taken_out(mesh, proxy, patience if failed else 0)
    if not out and not failed:
        # Left out while it was asked, and no longer now: its minute ended in between. It has to fail once more.
        again = await mesh.measure(_ask_staff(LEARNING_AGAIN))
        if unreached := _other_trouble(again):
            return unreached
        saw = _failed(again)
        out = await _taken_out(mesh, proxy, patience)
    if not out:
        return Fail(
            "Outlier detection is there, but takes no pod out.",
            f"{saw}; {rules[0].words()}",
            expected,
            "maxEjectionPercent is 10 unless you say otherwise: of two pods that is none. And the risky pod answers "
            "500, which is no gateway error (502, 503, 504).",
        )
    second = await mesh.measure(_ask_staff(LEFT_OUT.design.requests))
    outcome = LEFT_OUT.judge(
        second,
        too_few=("", ""),
        too_many=("A pod was taken out, and requests fail all the same.", "Is it the failing one that goes?"),
    )
    return Pass(f"{out} was taken out; then {outcome.saw}") if isinstance(outcome, Pass) else outcome


@check("circuit-breaking.bounded", title="Half of the pods stay, and who is left out rests for a minute")
async def bounded(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    rules = [rule for rule in await clusters(mesh, await mesh.inside(), STAFF) if rule.outliers is not None]
    expected = "at most half of the pods left out (maxEjectionPercent of 50), each for a minute or more"
    if not rules:
        return Fail(
            "Callers of staff-service have no outlier detection.",
            "no outlierDetection in the configuration of a caller's proxy",
            expected,
            "A DestinationRule for the host staff-service, with trafficPolicy.outlierDetection.",
        )
    for rule in rules:
        if rule.most >= 100:
            return Fail(
                "All pods may be left out.",
                rule.words(),
                expected,
                "When they all fail for the same reason, nobody is left to ask, even after it is over.",
            )
        if rule.rest < LONGEST_REST:
            return Fail(
                "A pod that was left out comes back too soon.",
                rule.words(),
                expected,
                "baseEjectionTime: 1m. Without it, it is 30 seconds.",
            )
    return Pass(rules[0].words())


@check("circuit-breaking.overflow", title="What is too much for position-tracker is refused at once", sends_load=True)
async def overflow(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(_history(BURST))
    refused = measured.statuses.get("503", 0)
    saw = f"of {BURST} requests at once {measured.counts.total()} were answered and {refused} refused"
    expected = "eight at work or waiting, all others refused with 'reset reason: overflow'"
    if refused < REFUSED:
        return Fail(
            "Nothing, or too little, is turned away.",
            saw,
            expected,
            "Two limits are needed: for connections (tcp.maxConnections) and for those who wait for one "
            "(http.http1MaxPendingRequests). Without the second the queue has no end.",
        )
    if "overflow" not in measured.examples.get("503", ""):
        return Fail(
            "Requests are refused, but not by a limit of the proxy.",
            f"{saw}: {measured.trouble()}",
            expected,
            measured.explanation(),
        )
    # Where the limits are those of a subset, the requests that were just refused had been sent there, and nobody uses
    # the cluster beside it.
    narrowest = min((rule.limit for rule in await clusters(mesh, await mesh.inside(), POSITIONS)), default=0)
    if narrowest > LARGEST_LIMIT:
        return Fail(
            "The limits are too wide.",
            f"{saw}; {narrowest} requests may be at work or waiting",
            "four at work and four waiting",
            "tcp.maxConnections: 4 and http.http1MaxPendingRequests: 4",
        )
    return Pass(saw)


@check("circuit-breaking.room", title="Four requests at once are still answered", sends_load=True)
async def room(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(_history(ROOM))
    if measured.counts.total() == measured.requests:
        return Pass(f"{ROOM} requests at once, each answered with status 200")
    return Fail(
        "Ordinary use of position-tracker is refused.",
        f"of {ROOM} requests at once: {measured.trouble()}",
        f"{ROOM} of {ROOM} answered with status 200",
        "The limits are too narrow. Connections that are still being opened count as waiting, so that the queue needs "
        "room as well: http1MaxPendingRequests: 4.",
    )


@check("circuit-breaking.visible", title="The proxy of api-gateway shows what its breakers do", sends_load=True)
async def visible(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    pods = [pod for pod in await _ready_pods(mesh, API_GATEWAY) if has_sidecar(pod)]
    if not pods:
        raise CannotJudge(f"no pod of {API_GATEWAY} with a proxy is ready", "meshdojo reset circuit-breaking")
    # Counters of traffic appear with a service's first request. Requests of the drill reach position-tracker and no pod
    # of staff-service, so that none is taken out for them.
    await mesh.measure(Request(API_GATEWAY_URL, 4 * len(pods), headers=DRILL, count_by="status", concurrency=2))
    pages = {pod["metadata"]["name"]: await mesh.ask_proxy(pod, "stats") for pod in pods}
    shown = set().union(*(_counted(page) for page in pages.values()))
    for name, page in pages.items():
        # Which of several pods has had requests is a matter of chance.
        if missing := [one for one in COUNTERS if one not in (shown if one == OVERFLOWED else _counted(page))]:
            return Fail(
                "Some counters are still hidden.",
                f"pod {name} shows none with {', '.join(missing)} for the services that it calls",
                f"counters with {', '.join(COUNTERS)}",
                "The annotation proxy.istio.io/config must be on the pod (spec.template.metadata.annotations of the "
                "Deployment), with a proxyStatsMatcher; its regular expressions have to match whole names. Those of "
                "outlier detection exist only where a DestinationRule asks for it.",
            )
    return Pass(f"{', '.join(pages)}: {', '.join(COUNTERS)}")


@check("circuit-breaking.degraded", title="Without staff-service, customers still see the vehicles", sends_load=True)
async def degraded(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    requests = DEGRADED.design.requests
    url = f"{GATEWAY_URL}/api/vehicles"
    # Two at a time: these requests pass position-tracker, whose limits the learner has made narrow a task before.
    request = Request(url, requests, headers=DRILL, count_by="json:degraded.0", concurrency=2)
    measured = await mesh.measure(request)
    if measured.counts.total() != requests:
        return Fail(
            "Without staff-service, customers see an error.",
            measured.trouble(),
            f"{requests} of {requests} requests of the drill answered with status 200, without drivers",
            "api-gateway can do without staff-service: STAFF_OPTIONAL=true in the environment of its container.",
        )
    return DEGRADED.judge(
        measured,
        "The drill is over: requests with x-fleet-drill: no-staff reach staff-service.",
        "Leave the VirtualService staff-service as it is. Only a fallback that works without the service is one.",
    )


def _ask_staff(requests: int) -> Request:
    """Two at a time: more under way would only be more errors before the proxy has noticed."""
    return Request(STAFF_URL, requests, place="inside", count_by="status", concurrency=2)


def _history(requests: int) -> Request:
    return Request(HISTORY_URL, requests, place="inside", count_by="status", concurrency=requests)


def _failed(measured: Measurement) -> str:
    return f"{measured.requests - measured.counts.total()} of {measured.requests} requests failed"


def _other_trouble(measured: Measurement) -> Fail | None:
    """The Fail for a sample with errors that are not those of the failing pod."""
    if set(measured.statuses) <= {"200", "500"} and not measured.errors:
        return None
    return unanswered(measured)


async def _ready_pods(mesh: Mesh, app: str, version: str | None = None) -> list[Object]:
    found = []
    for pod in await mesh.list("pods", NAMESPACE):
        labels = pod["metadata"].get("labels", {})
        if labels.get("app") == app and version in (None, labels.get("version")) and is_ready(pod):
            found.append(pod)
    return found


async def _risky(mesh: Mesh) -> list[Object]:
    return await _ready_pods(mesh, STAFF, "risky")


async def _taken_out(mesh: Mesh, proxy: Object, seconds: float) -> str:
    """The address of a pod of staff-service that a proxy has taken out, '' when it has taken none out after `seconds`.

    A worker thread tells the main thread of an error that was one too many, so that it may take a moment.
    """
    end = time.monotonic() + seconds
    while True:
        found = list(_out(json.loads(await mesh.ask_proxy(proxy, "clusters?format=json")), STAFF))
        if found or time.monotonic() > end:
            return found[0] if found else ""
        await asyncio.sleep(LOOK_SECONDS)


def _out(page: Mapping[str, Any], service: str) -> Iterator[str]:
    """Addresses of the hosts of a service that are ejected, from the admin page ``clusters?format=json``."""
    for cluster in page.get("cluster_statuses", ()):
        if _is_of(cluster["name"], service):
            for host in cluster.get("host_statuses", ()):
                if host.get("health_status", {}).get("failed_outlier_check"):
                    address = host["address"]["socket_address"]
                    yield f"{address['address']}:{address['port_value']}"


def _is_of(cluster: str, service: str) -> bool:
    """Whether ``outbound|80|SUBSET|HOST`` leads to a service of the lab's namespace."""
    return cluster.startswith("outbound|80|") and cluster.endswith(f"|{service}.{NAMESPACE}.svc.cluster.local")


def _counted(stats: str) -> set[str]:
    """Which of COUNTERS the admin page ``stats`` has for the clusters of the services that api-gateway calls."""
    called = [f"|{service}.{NAMESPACE}.svc.cluster.local" for service in (STAFF, POSITIONS)]
    lines = [line for line in stats.splitlines() if any(name in line for name in called)]
    return {name for name in COUNTERS if any(name in line for line in lines)}


@dataclass(frozen=True)
class Breakers:
    """What a proxy has been told of a cluster: the same for every way in which a DestinationRule can say it."""

    cluster: Mapping[str, Any]

    @property
    def outliers(self) -> Mapping[str, Any] | None:
        """The cluster's outlier detection, as Envoy's config dump has it; None when there is none."""
        found: Mapping[str, Any] | None = self.cluster.get("outlier_detection")
        return found

    @property
    def errors(self) -> int:
        """How many errors in a row it takes (Envoy's default: 5); 500 is no gateway error."""
        return int((self.outliers or {}).get("consecutive_5xx", 5))

    @property
    def most(self) -> int:
        """The per cent of the pods that may be out (Envoy's default: 10)."""
        return int((self.outliers or {}).get("max_ejection_percent", 10))

    @property
    def rest(self) -> float:
        """Seconds that a pod is out, the first time (Envoy's default: 30)."""
        return float(str((self.outliers or {}).get("base_ejection_time", "30s")).removesuffix("s"))

    @property
    def limit(self) -> int:
        """How many requests may be at work or waiting."""
        [*_, threshold] = self.cluster.get("circuit_breakers", {}).get("thresholds") or [{}]
        together = threshold.get("max_connections", 1024) + threshold.get("max_pending_requests", 1024)
        return int(min(together, threshold.get("max_requests", 1024)))

    def words(self) -> str:
        """The rule of ejection for a learner: errors, seconds and the greatest share of pods in percent."""
        return f"out after {self.errors} errors, for {self.rest:g} s, at most {self.most} % of the pods"


async def clusters(mesh: Mesh, proxy: Object, service: str) -> list[Breakers]:
    """The clusters of a service (its own, and one for each subset) as a caller's proxy has them."""
    query = f"config_dump?resource=dynamic_active_clusters&name_regex=outbound.80..*{service}.{NAMESPACE}.svc.*"
    found = json.loads(await mesh.ask_proxy(proxy, query)).get("configs", ())
    return [Breakers(entry["cluster"]) for entry in found if _is_of(entry["cluster"]["name"], service)]


async def require_lab(mesh: Mesh) -> None:
    """Raises CannotJudge when the lab's application is not there: nothing that a learner is asked to do removes it."""
    if not await mesh.list("services", NAMESPACE):
        reason = f"namespace {NAMESPACE} has no services: the lab is not set up"
        raise CannotJudge(reason, "meshdojo reset circuit-breaking")
