"""The checks of the lab `canary`: bring version 2 in dark, give it a tenth of the traffic, promote it.

Customers come through the ingress gateway, callers from inside the mesh; each follows what its own proxy was told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.mesh import GATEWAY_URL, Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import has_sidecar, is_ready, selects
from meshdojo.checks.proportion import Proportion, unanswered
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object

NAMESPACE, APP = "fleet", "web"
ORIGINAL, EXPERIMENTAL = "original", "experimental"
PREVIEW = (("x-fleet-preview", EXPERIMENTAL),)
VIRTUAL_SERVICES = "virtualservices.networking.istio.io"
DESTINATION_RULES = "destinationrules.networking.istio.io"

# The alternatives: a leak of one request in a hundred, a preview that one tester in twenty does not get, and a canary
# of half or twice its share. Each is missed at most once in 1,000, a right mesh refused at most once in 1,000,000.
HIDDEN = Proportion(ORIGINAL, right=1, below=0.99)
PREVIEWED = Proportion(EXPERIMENTAL, right=1, below=0.95)
TENTH = Proportion(EXPERIMENTAL, right=0.10, below=0.04, above=0.20)
PROMOTED = Proportion(EXPERIMENTAL, right=1, below=0.99)
# Callers who follow no route get what the number of pods makes of it: a quarter, a half, three quarters.
CALLERS_TENTH = Proportion(EXPERIMENTAL, right=0.10, below=0.03, above=0.25)
CALLERS_URL = f"http://{APP}.{NAMESPACE}/version"
CALLERS_REQUESTS = 135  # an outage of one request in twenty is missed at most once in 1,000

# Customers who come back. With a hash every later request is the first one's pod's; a mesh that sends one later request
# in ten elsewhere is missed at most once in 1,000 (0.9^96). That a good hash puts all of them on one of two pods has a
# chance of 1 in 8 million (2 * 0.5^24), and of less with more pods.
STICKY_CUSTOMERS, STICKY_REQUESTS = 24, 5


async def customers(mesh: Mesh, proportion: Proportion) -> Measurement:
    """What customers get: requests to the front page, through the ingress gateway."""
    await require_lab(mesh)
    return await mesh.measure(Request(f"{GATEWAY_URL}/", proportion.design.requests))


@check("canary.hidden", title="Customers see only the original", sends_load=True)
async def hidden(mesh: Mesh) -> Outcome:
    if not (pods := await web_pods(mesh, EXPERIMENTAL)):
        return Fail(
            "There is no experimental version yet.",
            f"no ready pod with the labels app={APP}, version={EXPERIMENTAL} in namespace {NAMESPACE}",
            "one that runs, but that customers do not meet",
            "Prepare the route first, then create the Deployment web-experimental. "
            f"kubectl get pods -n {NAMESPACE} -L version shows what runs.",
        )
    if not all(has_sidecar(pod) for pod in pods):
        return Fail(
            "The experimental pods are not in the mesh.",
            "a ready experimental pod without the container istio-proxy (READY 1/1)",
            "2/2: every pod with its sidecar",
            f"Was the namespace's label istio-injection=enabled there when the pod started? kubectl get ns {NAMESPACE} "
            "--show-labels; kubectl rollout restart makes new pods.",
        )
    return HIDDEN.judge(
        await customers(mesh, HIDDEN),
        "Customers who did not ask for it get the experimental version.",
        "A destination without a subset means every pod of the service. Does the route without a match name the subset "
        "of the original?",
    )


@check("canary.preview", title="Testers see the experimental version", sends_load=True)
async def preview(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    request = Request(f"{GATEWAY_URL}/", PREVIEWED.design.requests, headers=PREVIEW)
    return PREVIEWED.judge(
        await mesh.measure(request),
        "Requests with the header x-fleet-preview: experimental do not get the experimental version.",
        "Routes are tried from top to bottom and the first that matches wins: the one with the header must stand "
        "before the one without a match. Header names are written in small letters.",
    )


@check("canary.share", title="One request in ten gets the experimental version", sends_load=True)
async def share(mesh: Mesh) -> Outcome:
    return TENTH.judge(
        await customers(mesh, TENTH),
        "The canary's share is not 10 %.",
        "The weights stand in the VirtualService, at the destinations of the route that customers take: 90 for the "
        "original, 10 for the experimental version.",
    )


@check("canary.weights", title="The share comes from the route, not from the number of pods")
async def weights(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    routes = Routes(
        await mesh.list(VIRTUAL_SERVICES, NAMESPACE),
        await mesh.list(DESTINATION_RULES, NAMESPACE),
        await mesh.list("services", NAMESPACE),
        [pod for pod in await mesh.list("pods", NAMESPACE) if is_ready(pod)],
    )
    for destination, versions in routes.destinations():
        if len(versions) > 1:
            return Fail(
                f"A destination reaches pods of several versions, so the number of pods decides who gets which: "
                f"{destination}.",
                f"pods behind it: {', '.join(sorted(versions))}",
                "every destination leads to one version",
                "Name a subset at each destination. When the original is scaled up tomorrow, the canary's share must "
                "stay what it is.",
            )
    return Pass("every destination leads to one version")


@check("canary.callers", title="Callers in the mesh get the experimental version one time in ten", sends_load=True)
async def callers(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    request = Request(CALLERS_URL, CALLERS_TENTH.design.requests, place="inside")
    return CALLERS_TENTH.judge(
        await mesh.measure(request),
        f"A caller inside the mesh (http://{APP}.{NAMESPACE}) does not get 10 % from the experimental version.",
        "A VirtualService instructs the proxies that its gateways name; a sidecar follows one that names mesh, or no "
        f"gateway at all, and whose hosts say what the caller says: {APP}.",
    )


@check("canary.promoted", title="Whoever gets an answer gets it from the experimental version", sends_load=True)
async def promoted(mesh: Mesh) -> Outcome:
    measured = await customers(mesh, PROMOTED)
    answered = measured.counts.total()
    if not answered:
        return unanswered(measured) or Fail("There was no answer.", "no answers", PROMOTED.expected, "Try again.")
    others = answered - measured.counts[EXPERIMENTAL]
    saw = f"{measured.counts[EXPERIMENTAL]} of {answered} answers from {EXPERIMENTAL}"
    if not others:
        return Pass(saw)
    label, count = next((label, count) for label, count in measured.counts.most_common() if label != EXPERIMENTAL)
    return Fail(
        f"{others} of {answered} answers come from another version.",
        f"{saw}, {count} from {label}",
        f"all answers from {EXPERIMENTAL}",
        "What a pod is follows from what it runs (image, VERSION), not from its labels. Is there a weight left for the "
        "original, or a pod that only carries the new label?",
    )


@check("canary.no-errors", title="No customer gets an error", sends_load=True)
async def no_errors(mesh: Mesh) -> Outcome:
    measured = await customers(mesh, PROMOTED)
    return unanswered(measured) or Pass(f"{measured.requests} requests, each answered with status 200")


@check("canary.no-caller-errors", title="No caller in the mesh gets an error", sends_load=True)
async def no_caller_errors(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    measured = await mesh.measure(Request(CALLERS_URL, CALLERS_REQUESTS, place="inside"))
    if broken := unanswered(measured):
        hint = "The sidecars have routes of their own. Does one of them still lead to the original?"
        return Fail(f"Inside the mesh: {broken.reason}", broken.saw, broken.expected, hint)
    return Pass(f"{measured.requests} requests from inside the mesh, each answered with status 200")


@check("canary.retired", title="The original is gone")
async def retired(mesh: Mesh) -> Outcome:
    deployments = [
        deployment["metadata"]["name"]
        for deployment in await mesh.list("deployments.apps", NAMESPACE)
        if labelled(deployment["spec"]["template"]["metadata"], ORIGINAL) and deployment["spec"].get("replicas", 1)
    ]
    pods = [pod["metadata"]["name"] for pod in await web_pods(mesh, ORIGINAL)]
    if not deployments and not pods:
        return Pass("no Deployment and no pod of the original is left")
    return Fail(
        "The original still runs.",
        f"{', '.join([*deployments, *pods])}",
        "no pod of the original, and no Deployment that would make one",
        "First take all traffic away from it (weight 0, or no destination), then delete its Deployment.",
    )


async def returning(mesh: Mesh) -> Measurement:
    """Customers who come back with the cookies that they were given: which pods each of them met."""
    await require_lab(mesh)
    requests = STICKY_CUSTOMERS * STICKY_REQUESTS
    return await mesh.measure(Request(f"{GATEWAY_URL}/", requests, count_by="json:pod", session=STICKY_REQUESTS))


@check("canary.sticky", title="A customer who comes back gets the same pod", sends_load=True)
async def sticky(mesh: Mesh) -> Outcome:
    measured = await returning(mesh)
    if broken := unanswered(measured):
        return broken
    pods = [pod for pod in await mesh.list("pods", NAMESPACE) if selects({"app": APP}, pod) and is_ready(pod)]
    if len(pods) < 2:
        return Fail(
            f"There is only one pod of {APP}: everybody gets the same one.",
            f"{len(pods)} ready pod with the label app={APP}",
            "at least two, so that there is something to choose from",
            f"kubectl scale deployment -n {NAMESPACE} --replicas=3 and the name of the Deployment that customers reach",
        )
    moved = sum(count for pods_met, count in measured.sessions.items() if "+" in pods_met)
    saw = f"{moved} of {measured.sessions.total()} customers were sent to another pod on the way"
    if not moved:
        return Pass(f"{saw}, in {STICKY_REQUESTS} requests each")
    return Fail(
        "Customers do not stay with a pod.",
        f"{saw}, in {STICKY_REQUESTS} requests each",
        "none of them",
        "What can the proxy tell customers by? They bring nothing along by themselves, but they keep a cookie that "
        "they are given: consistentHash, httpCookie with a ttl, in the DestinationRule for the host that the route "
        "names. And weights go before it: with two destinations, each request is drawn anew.",
    )


@check("canary.spread", title="Different customers are spread over the pods", sends_load=True)
async def spread(mesh: Mesh) -> Outcome:
    measured = await returning(mesh)
    if broken := unanswered(measured):
        return broken
    if len(measured.counts) > 1:
        return Pass(f"{measured.sessions.total()} customers on {len(measured.counts)} pods")
    return Fail(
        "All customers get the same pod.",
        f"{measured.sessions.total()} customers, all of them on one pod",
        "customers on several pods",
        "The key of the hash must differ from customer to customer. Behind a router, a proxy or a NAT many of them "
        "have the same source address.",
    )


async def require_lab(mesh: Mesh) -> None:
    """Raises CannotJudge when the lab's application is not there: nothing that a learner is asked to do removes it."""
    if not await mesh.list("services", NAMESPACE):
        raise CannotJudge(f"namespace {NAMESPACE} has no services: the lab is not set up", "meshdojo reset canary")


async def web_pods(mesh: Mesh, version: str) -> list[Object]:
    """The ready pods of a version of web. Raises CannotJudge when the lab is not set up."""
    await require_lab(mesh)
    return [pod for pod in await mesh.list("pods", NAMESPACE) if labelled(pod["metadata"], version) and is_ready(pod)]


def labelled(metadata: Mapping[str, Any], version: str) -> bool:
    """Whether `metadata` carries the labels of this lab's app in that version."""
    labels = metadata.get("labels", {})
    return (labels.get("app"), labels.get("version")) == (APP, version)


@dataclass(frozen=True)
class Routes:
    """Which pods the destinations of the namespace's VirtualServices lead to."""

    virtual_services: list[Object]
    destination_rules: list[Object]
    services: list[Object]
    pods: list[Object]

    def destinations(self) -> Iterator[tuple[str, set[str]]]:
        """Each destination that gets traffic for web, in words, with the versions of the pods behind it."""
        for virtual_service in self.virtual_services:
            for route in virtual_service["spec"].get("http", ()):
                for entry in self._weighted(route.get("route", ())):
                    destination = entry["destination"]
                    selector = self._selector(destination)
                    if selector and selector.get("app") == APP:
                        subset = destination.get("subset")
                        words = f"{destination['host']}, " + (f"subset {subset}" if subset else "no subset")
                        yield f"{virtual_service['metadata']['name']} -> {words}", self._versions(selector)

    @staticmethod
    def _weighted(entries: Any) -> Iterator[Any]:
        """The destinations that get requests: a missing weight is 0, except for an only destination."""
        for entry in entries:
            if len(entries) == 1 or entry.get("weight", 0):
                yield entry

    def _selector(self, destination: Mapping[str, Any]) -> dict[str, str] | None:
        """The labels that select a destination's pods; None for a host or subset that is not there."""
        name = service_name(destination["host"])
        for service in self.services:
            if service["metadata"]["name"] == name:
                labels = self._subset_labels(name, destination.get("subset"))
                return None if labels is None else {**service["spec"].get("selector", {}), **labels}
        return None

    def _subset_labels(self, service: str, subset: str | None) -> dict[str, str] | None:
        if not subset:
            return {}
        for rule in self.destination_rules:
            if service_name(rule["spec"].get("host", "")) == service:
                for candidate in rule["spec"].get("subsets", ()):
                    if candidate["name"] == subset:
                        return dict(candidate.get("labels", {}))
        return None

    def _versions(self, selector: Mapping[str, str]) -> set[str]:
        return {pod["metadata"]["labels"].get("version", "(no version)") for pod in self.pods if selects(selector, pod)}


def service_name(host: str) -> str:
    """The service of this namespace that a host means, short or in full ('' for another namespace's)."""
    for suffix in ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local"):
        name = host.removesuffix(suffix) if suffix else host
        if host.endswith(suffix) and "." not in name:
            return name
    return ""
