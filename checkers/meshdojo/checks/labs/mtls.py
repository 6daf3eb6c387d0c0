"""The checks of the lab `mtls`: from "both are taken" to mutual TLS in the whole mesh, without breaking a caller."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import GATEWAY_URL, Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import is_ready, selects
from meshdojo.checks.proportion import Proportion, unanswered
from meshdojo.checks.reach import Reach, reach, require_network
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object

NAMESPACE, ROOT = "fleet", "istio-system"
TRACKER, WEB = "position-tracker", "web"
SERVICES = ("web", "api-gateway", "position-tracker", "staff-service")
FEED_URL, STATUS_URL = "http://feed.partners/version", "http://feed.partners:9000/version"
STAFF_URL = "http://staff-service.fleet/headers"
POLICIES = "peerauthentications.security.istio.io"
CERTIFICATE = "x-forwarded-client-cert"
# How often a pod asks: a connection that was pooled before a change may answer once more by the old rules, and a
# sidecar has one for each of its worker threads.
QUESTIONS = 6
# One customer in ten who gets an error is missed once in 1,000; a mesh without errors is never refused.
SERVED = Proportion("web", right=1, below=0.9)
USED_UP = 40


def url(service: str) -> str:
    """The URL of a service's version page, as a pod of the mesh asks for it."""
    return f"http://{service}.{NAMESPACE}/version"


@check("mtls.tracker-locked", title="position-tracker refuses plain text", sends_load=True)
async def tracker_locked(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    if open_ := await not_refused(mesh, [url(TRACKER)]):
        return open_
    inside = await reach(mesh, url(TRACKER), "inside")
    return served(inside) or Pass("refused without a certificate, served with one")


@check("mtls.others-open", title="The other services still take plain text", sends_load=True)
async def others_open(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    for service in SERVICES:
        if service == TRACKER:
            continue
        outside = await reach(mesh, url(service), "outside")
        if not outside.answered:
            return Fail(
                f"{service} refuses callers that have no sidecar yet.",
                f"plain text to {service}: {outside.words}",
                f"{service} answers: only position-tracker is to be locked for now",
                "A PeerAuthentication without a selector holds for its whole namespace. Which labels do the pods of "
                f"position-tracker have? kubectl get pods -n {NAMESPACE} --show-labels",
            )
    return Pass("web, api-gateway and staff-service answer with and without mutual TLS")


@check("mtls.payroll", title="payroll reaches staff-service with a certificate of its own")
async def payroll(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    pods = await ready(mesh, "accounts", {"app": "payroll"})
    if not pods:
        return Fail(
            "No pod of payroll is ready.",
            "no ready pod with the label app=payroll in namespace accounts",
            "at least one",
            "kubectl get pods -n accounts; kubectl describe pod -n accounts -l app=payroll",
        )
    for pod in pods:
        if trouble := await identified(mesh, pod, "accounts"):
            return trouble
    return Pass("staff-service sees payroll's certificate")


@check("mtls.staff-encrypted", title="Callers inside the fleet reach staff-service with mutual TLS")
async def staff_encrypted(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    pods = await ready(mesh, NAMESPACE, {"app": "client"})
    if not pods:
        raise CannotJudge("no pod of the Deployment client is ready in namespace fleet", "meshdojo reset mtls")
    return await identified(mesh, pods[0], NAMESPACE) or Pass("staff-service sees the certificate of its caller")


@check("mtls.fleet-strict", title="No service of the fleet takes plain text, and each serves the mesh", sends_load=True)
async def fleet_strict(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    if open_ := await not_refused(mesh, map(url, SERVICES)):
        return open_
    # Whether web serves is what the customers say.
    for service in SERVICES:
        if service != WEB and (broken := served(await reach(mesh, url(service), "inside"))):
            return broken
    return Pass("all four refuse plain text and serve callers with a certificate")


@check("mtls.customers", title="No customer gets an error", sends_load=True)
async def customers(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    request = Request(f"{GATEWAY_URL}/api/vehicles", SERVED.design.requests, count_by="json:service", concurrency=4)
    # Connections between the sidecars that are older than the rules are closed by them, each with its next answer, and
    # a request may meet that end (one in some hundreds on kind). They are used up first, by requests that do not count.
    await mesh.measure(replace(request, requests=USED_UP))
    measured = await mesh.measure(request)
    return unanswered(measured) or Pass(f"{measured.requests} requests through the gateway, each answered")


@check("mtls.mesh-strict", title="The whole mesh refuses plain text", sends_load=True)
async def mesh_strict(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    if open_ := await not_refused(mesh, [FEED_URL, *map(url, SERVICES)]):
        return open_
    if broken := served(await reach(mesh, FEED_URL, "inside")):
        return broken
    modes = [mode(policy) for policy in mesh_wide(await mesh.list(POLICIES, ROOT))]
    if modes[:1] == ["STRICT"]:
        return Pass("plain text is refused, also in namespaces that have no policy of their own")
    return Fail(
        "A namespace that is made tomorrow would take plain text again.",
        f"the mesh-wide mode is {modes[0] if modes else 'not set, which means PERMISSIVE'}",
        f"STRICT in a PeerAuthentication without a selector in {ROOT}, the root namespace",
        "A policy for the whole mesh is one for the root namespace. Where there are several, the oldest counts.",
    )


@check("mtls.status-port", title="Only the status page answers the monitoring in plain text", sends_load=True)
async def status_port(mesh: Mesh) -> Outcome:
    await require_lab(mesh)
    outside = await reach(mesh, STATUS_URL, "outside")
    if not outside.answered:
        return Fail(
            "The monitoring, which has no sidecar, cannot read the status page.",
            f"plain text to {STATUS_URL}: {outside.words}",
            "an answer, as the only exception from the rule of the mesh",
            "portLevelMtls is about the port of the pod, not that of the service, and needs a selector. "
            "kubectl get service feed -n partners -o yaml shows both ports.",
        )
    return served(await reach(mesh, STATUS_URL, "inside")) or Pass("the status page answers with and without a sidecar")


async def require_lab(mesh: Mesh) -> None:
    """Raises CannotJudge when the lab's services are not there: nothing that a learner is asked to do removes them."""
    names = {service["metadata"]["name"] for service in await mesh.list("services", NAMESPACE)}
    if missing := sorted(set(SERVICES) - names):
        raise CannotJudge(
            f"namespace {NAMESPACE} lacks {', '.join(missing)}: the lab is not set up", "meshdojo reset mtls"
        )


async def ready(mesh: Mesh, namespace: str, labels: Mapping[str, str]) -> list[Object]:
    """The ready pods that carry all these labels."""
    return [pod for pod in await mesh.list("pods", namespace) if is_ready(pod) and selects(labels, pod)]


async def not_refused(mesh: Mesh, urls: Iterable[str]) -> Fail | None:
    """The Fail for the first URL that does not refuse plain text; None when all do. Raises CannotJudge."""
    await require_network(mesh)
    for one in urls:
        outside = await reach(mesh, one, "outside")
        if outside.refused:
            continue
        if outside.measured.statuses.total():
            return Fail(
                f"{host(one)} answers callers that show no certificate.",
                f"plain text from a pod without a sidecar: {outside.words}",
                "every such connection reset",
                "Which PeerAuthentication holds for its pods? istioctl x describe pod POD shows the effective mode; "
                "kubectl get peerauthentication -A shows all of them.",
            )
        return Fail(
            f"{host(one)} does not refuse plain text: it cannot be reached at all.",
            outside.words,
            "a pod that takes the connection, and a sidecar that resets it",
            "kubectl get pods -A shows what runs.",
        )
    return None


def served(inside: Reach) -> Fail | None:
    """The Fail for a service that the mesh itself cannot use any more; None for one that answers every request."""
    if inside.answered:
        return None
    return Fail(
        f"{host(inside.url)} does not serve callers in the mesh.",
        f"from a pod with a sidecar: {inside.words}",
        "every request answered",
        "A 503 with 'connection termination' means that the caller's proxy speaks plain text to one that wants TLS: "
        "is there a DestinationRule with a tls mode for this host? kubectl get destinationrule -A",
    )


async def identified(mesh: Mesh, pod: Object, namespace: str) -> Fail | None:
    """The Fail for a pod that staff-service does not know by a certificate of its namespace; None when it does."""
    name = pod["metadata"]["name"]
    command = ["curl", "-sS", "--max-time", "5", *[STAFF_URL] * QUESTIONS]
    ran = await mesh.run(pod, command, seconds=8.0 * QUESTIONS)
    if ran.exit_code:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        return Fail(
            f"{name} does not reach staff-service.",
            said[0] if said else f"curl ended with {ran.exit_code}",
            "an answer to every request",
            "'Connection reset by peer' is what a pod without a sidecar gets from a service that wants mutual TLS.",
        )
    answers = ran.stdout.decode(errors="replace").strip().splitlines()
    for answer in answers:
        try:
            certificate = json.loads(answer)["headers"].get(CERTIFICATE, "")
        except (ValueError, KeyError):
            return Fail(
                f"{name} gets no good answer from staff-service.",
                answer[:200],
                "the headers that reached staff-service",
                "A 503 means that the two proxies do not agree on TLS: is there a DestinationRule for staff-service?",
            )
        if f"URI=spiffe://cluster.local/ns/{namespace}/sa/" not in certificate:
            return Fail(
                f"{name} speaks plain text to staff-service.",
                f"{CERTIFICATE} at staff-service: {certificate or 'not there'}",
                f"a certificate for spiffe://cluster.local/ns/{namespace}/sa/…",
                "Either the caller has no sidecar (READY 1/1), or a DestinationRule tells its sidecar not to use TLS.",
            )
    return None


def host(text: str) -> str:
    """``feed.partners:9000`` of a URL."""
    return text.removeprefix("http://").partition("/")[0]


def mesh_wide(policies: Iterable[Object]) -> list[Object]:
    """The policies of the root namespace that hold for the whole mesh; the first of them is the one that counts."""
    general = [one for one in policies if not (one.get("spec", {}).get("selector") or {}).get("matchLabels")]
    return sorted(general, key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))


def mode(policy: Mapping[str, Any]) -> str:
    """A PeerAuthentication's mode; ``UNSET`` where it says nothing. Source: the field's default in Istio's API."""
    return str((policy.get("spec", {}).get("mtls") or {}).get("mode", "UNSET"))
