"""The checks of the lab `canary`: bring version 2 in dark, give it a tenth of the traffic, promote it."""

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
TENTH = Proportion(EXPERIMENTAL, right=0.10, below=0.05, above=0.20)
PROMOTED = Proportion(EXPERIMENTAL, right=1, below=0.99)


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


async def require_lab(mesh: Mesh) -> None:
    """Raises CannotJudge when the lab's application is not there: nothing that a learner is asked to do removes it."""
    if not await mesh.list("services", NAMESPACE):
        raise CannotJudge(f"namespace {NAMESPACE} has no services: the lab is not set up", "meshdojo reset canary")


async def web_pods(mesh: Mesh, version: str) -> list[Object]:
    """The ready pods of a version of web. Raises CannotJudge when the lab is not set up."""
    await require_lab(mesh)
    return [pod for pod in await mesh.list("pods", NAMESPACE) if labelled(pod["metadata"], version) and is_ready(pod)]


def labelled(metadata: Mapping[str, Any], version: str) -> bool:
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
