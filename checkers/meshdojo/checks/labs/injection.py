"""The checks of the lab `injection`: which pods get a sidecar, which do not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import has_sidecar, is_ready, selects
from meshdojo.checks.proportion import unanswered
from meshdojo.checks.reach import plan
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object

DEPOT, CUSTOMS, YARD, QUAY = "depot", "customs", "yard", "quay"
# What an answer says in the header `server` when the pod's sidecar passed it on; the programs themselves say nothing.
PROXY, NOBODY = "istio-envoy", "(none)"
BARE: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "question-"},
    "spec": {"containers": [{"name": "main", "image": "meshdojo/client:1.0"}]},
}


@check(
    "injection.proxied", title="roster and client have sidecars, and roster is reached through its own", sends_load=True
)
async def proxied(mesh: Mesh) -> Outcome:
    for app in ("client", "roster"):
        if bare := await without_sidecar(mesh, DEPOT, app):
            return bare
    return await answers(mesh, DEPOT, "roster", PROXY) or Pass("every answer of roster came through its sidecar")


@check("injection.future", title="A pod that starts in depot tomorrow gets a sidecar, too")
async def future(mesh: Mesh) -> Outcome:
    await deployment(mesh, DEPOT, "roster")
    if has_sidecar(await mesh.would_become(DEPOT, BARE)):
        return Pass("the API server would add a sidecar to a new pod in depot")
    return Fail(
        "A new pod in depot would start without a sidecar.",
        "a pod without labels of its own is left as it is",
        "a sidecar for every pod that does not ask for something else",
        "What holds for all pods of a namespace is a label of the namespace: kubectl get namespace depot --show-labels",
    )


@check("injection.archive", title="archive runs without a sidecar, now and after its next restart", sends_load=True)
async def archive(mesh: Mesh) -> Outcome:
    found = await deployment(mesh, DEPOT, "archive")
    pods = await ready(mesh, DEPOT, "archive")
    if not pods:
        return none_ready(DEPOT, "archive")
    if any(has_sidecar(pod) for pod in pods):
        return Fail(
            "archive runs with a sidecar.",
            "a ready pod of archive with the container istio-proxy (READY 2/2)",
            "1/1: the vendor's program alone",
            "A pod can say for itself that it wants no sidecar, by a label. Where does a Deployment keep the labels of "
            "its pods?",
        )
    if has_sidecar(await mesh.would_become(DEPOT, pod_of(found))):
        return Fail(
            "archive has no sidecar now, but would get one at its next restart.",
            "the API server would add a sidecar to a new pod of this Deployment",
            "a Deployment whose pods ask for none",
            'The label sidecar.istio.io/inject: "false" belongs into spec.template.metadata.labels. On a pod it is '
            "too late, and the Deployment's own labels are not those of its pods.",
        )
    return await answers(mesh, DEPOT, "archive", NOBODY) or Pass("archive answers for itself")


@check("injection.by-hand", title="declarations runs with the sidecar that its own manifest names", sends_load=True)
async def by_hand(mesh: Mesh) -> Outcome:
    found = await deployment(mesh, CUSTOMS, "declarations")
    if not has_sidecar(found["spec"]["template"]):
        return Fail(
            "The Deployment declarations does not name a sidecar.",
            "a pod template without the container istio-proxy",
            "istio-init and istio-proxy among its init containers",
            "istioctl kube-inject -f FILE prints the same objects with the sidecar written into them.",
        )
    if bare := await without_sidecar(mesh, CUSTOMS, "declarations"):
        return bare
    return await answers(mesh, CUSTOMS, "declarations", PROXY) or Pass("its answers come through its sidecar")


@check("injection.customs", title="customs has no automatic injection")
async def customs(mesh: Mesh) -> Outcome:
    await deployment(mesh, CUSTOMS, "declarations")
    if not has_sidecar(await mesh.would_become(CUSTOMS, BARE)):
        return Pass("a new pod in customs is left as it is")
    return Fail(
        "New pods in customs would get a sidecar by themselves.",
        "the API server would add one to a pod without labels of its own",
        "a namespace whose pods are left as their manifests say",
        "Leave the label of the namespace as it was: istio-injection=disabled.",
    )


@check("injection.gate", title="gate runs with a sidecar", sends_load=True)
async def gate(mesh: Mesh) -> Outcome:
    return await repaired(
        mesh,
        YARD,
        "gate",
        "Compare the labels and annotations of the Deployment's pod template. When a label and an annotation disagree, "
        "which one counts?",
    )


@check("injection.crane", title="crane runs with a sidecar", sends_load=True)
async def crane(mesh: Mesh) -> Outcome:
    return await repaired(
        mesh,
        QUAY,
        "crane",
        "istio.io/rev names the control plane that is to inject. Which revisions are there? "
        "kubectl get pods -n istio-system -l app=istiod -L istio.io/rev",
    )


async def repaired(mesh: Mesh, namespace: str, app: str, hint: str) -> Outcome:
    """Pods with a sidecar, and a Deployment whose next ones get it as well."""
    found = await deployment(mesh, namespace, app)
    if not has_sidecar(await mesh.would_become(namespace, pod_of(found))):
        return Fail(
            f"New pods of {app} would start without a sidecar.",
            "the API server leaves a pod of this Deployment as it is",
            "a sidecar added to it",
            hint,
        )
    if bare := await without_sidecar(mesh, namespace, app):
        return bare
    return await answers(mesh, namespace, app, PROXY) or Pass(f"every answer of {app} came through its sidecar")


async def deployment(mesh: Mesh, namespace: str, name: str) -> Object:
    """A Deployment of the lab. Raises CannotJudge when it is gone: nothing that a learner is asked to do removes it."""
    for found in await mesh.list("deployments.apps", namespace):
        if found["metadata"]["name"] == name:
            return found
    reason = f"there is no Deployment {name} in namespace {namespace}: the lab is not set up"
    raise CannotJudge(reason, "meshdojo reset injection")


def pod_of(found: Object) -> Object:
    """A pod as the Deployment would make it."""
    template: Mapping[str, Any] = found["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "question-", **kept},
        "spec": template["spec"],
    }


async def ready(mesh: Mesh, namespace: str, app: str) -> list[Object]:
    """The ready pods with the label ``app=APP``."""
    return [pod for pod in await mesh.list("pods", namespace) if is_ready(pod) and selects({"app": app}, pod)]


async def without_sidecar(mesh: Mesh, namespace: str, app: str) -> Fail | None:
    """The Fail for an app none of whose pods is ready, or one of whose pods has no sidecar; None when all have one."""
    await deployment(mesh, namespace, app)
    pods = await ready(mesh, namespace, app)
    if not pods:
        return none_ready(namespace, app)
    bare = [pod["metadata"]["name"] for pod in pods if not has_sidecar(pod)]
    if not bare:
        return None
    return Fail(
        f"{app} runs without a sidecar.",
        f"{bare[0]} in namespace {namespace} has no container istio-proxy (READY 1/1)",
        "2/2: the program and its proxy",
        "A pod is injected when it is made, never later. If the labels are right by now, kubectl rollout restart makes "
        "new pods.",
    )


def none_ready(namespace: str, app: str) -> Fail:
    """The outcome for an app none of whose pods is ready."""
    return Fail(
        f"No pod of {app} is ready.",
        f"no ready pod with the label app={app} in namespace {namespace}",
        "at least one",
        f"kubectl get pods -n {namespace}; kubectl describe replicaset -n {namespace} -l app={app}",
    )


async def answers(mesh: Mesh, namespace: str, app: str, server: str) -> Fail | None:
    """The Fail unless every answer of a service names `server`: who spoke to a caller that has no sidecar itself."""
    request = Request(f"http://{app}.{namespace}/version", plan().requests, count_by="header:server", concurrency=4)
    measured = await mesh.measure(request)
    if broken := unanswered(measured):
        return broken
    if measured.counts[server] == measured.requests:
        return None
    others = ", ".join(f"{count} x {name}" for name, count in measured.counts.items() if name != server)
    return Fail(
        f"The answers of {app} do not come from whom they should.",
        f"the header 'server' of its answers: {others}",
        "istio-envoy, which a sidecar sets" if server == PROXY else "none: no proxy in between",
        "A pod may have the container and the traffic pass it by. kubectl get pods shows whether all pods behind the "
        "service are alike.",
    )
