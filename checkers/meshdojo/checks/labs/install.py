"""The checks of the lab `install`: Istio installed with all its parts, set up as wanted, used, and removed for good.

All of them judge clusters without Istio too, and with half of one: they measure from the lab's own pods, ask the API
server what it would do, and turn to the probe only where Istio is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge, Fail, Outcome, Pass
from meshdojo.checks.pods import has_sidecar, is_ready, selects
from meshdojo.checks.probe import NAMESPACES, is_outdated
from meshdojo.checks.proportion import unanswered
from meshdojo.checks.reach import plan, reach
from meshdojo.checks.registry import check
from meshdojo.cluster.client import Object
from meshdojo.cluster.rollout import is_complete

SYSTEM, POST = "istio-system", "post"
GATEWAYS = ("istio-ingressgateway", "istio-egressgateway")
APPS = ("clerk", "parcels")
PARCELS = "http://parcels"
PORT = 8080
CERTIFICATE = "json:headers.x-forwarded-client-cert"
NONE = "(none)"

# A namespace that asks for sidecars, whatever the learner does to those of the lab.
ASKING = NAMESPACES["inside"]
BARE: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "question-"},
    "spec": {"containers": [{"name": "main", "image": "meshdojo/client:1.0"}]},
}
_ADMISSION, _RBAC = "admissionregistration.k8s.io", "rbac.authorization.k8s.io"
WEBHOOKS = (f"mutatingwebhookconfigurations.{_ADMISSION}", f"validatingwebhookconfigurations.{_ADMISSION}")
ROLES = (f"clusterroles.{_RBAC}", f"clusterrolebindings.{_RBAC}")
KINDS = "customresourcedefinitions.apiextensions.k8s.io"


@check("install.control-plane", title="istiod is ready, and gives new pods a sidecar", without_istio=True)
async def control_plane(mesh: Mesh) -> Outcome:
    istiods = [one for one in await mesh.list("deployments.apps", SYSTEM) if labels(one).get("app") == "istiod"]
    if not istiods:
        return Fail(
            "There is no istiod: Istio is not installed.",
            f"no Deployment with the label app=istiod in namespace {SYSTEM}",
            "a control plane that is ready",
            "istioctl install does it. Which profile is asked for?",
        )
    if not any(runs(one) for one in istiods):
        names = ", ".join(name(one) for one in istiods)
        return Fail(
            "istiod is not ready.",
            f"{names}: {_replicas(istiods[0])}",
            "at least one replica, each ready",
            f"kubectl get pods -n {SYSTEM} shows what it is doing. Without it the proxies go on by what they know, but "
            "no change reaches them, and no new pod starts in a namespace that asks for sidecars.",
        )
    if refusal := await mesh.refusal(ASKING, BARE):
        return Fail(
            "A new pod in a namespace that asks for sidecars is refused.",
            refusal,
            "a pod with a sidecar",
            "The API server asks istiod about each new pod there, and gets no good answer.",
        )
    if not has_sidecar(await mesh.would_become(ASKING, BARE)):
        return Fail(
            "A new pod in a namespace that asks for sidecars gets none.",
            "the label istio-injection=enabled changes nothing",
            "a pod with the container istio-proxy",
            "The control plane of a revision hears only the label istio.io/rev. Install one without --revision.",
        )
    return Pass("istiod is ready, and a new pod would get a sidecar")


@check("install.gateways", title="Both gateways are there, and ready for traffic", without_istio=True)
async def gateways(mesh: Mesh) -> Outcome:
    deployments = {name(one): one for one in await mesh.list("deployments.apps", SYSTEM)}
    missing = [gateway for gateway in GATEWAYS if gateway not in deployments]
    if missing:
        return Fail(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            f"Deployments in {SYSTEM}: {', '.join(sorted(deployments)) or 'none'}",
            "the two gateways of the profile demo",
            "Each installation says all that is wanted, the profile too: what the last command did not ask for is "
            "removed. istioctl manifest generate shows what a profile consists of.",
        )
    for gateway in GATEWAYS:
        if not runs(deployments[gateway]):
            return Fail(
                f"{gateway} is not ready.",
                _replicas(deployments[gateway]),
                "at least one replica, each ready",
                f"kubectl describe pods -n {SYSTEM} -l app={gateway} says why.",
            )
        for pod in await _pods(mesh, SYSTEM, deployments[gateway]):
            if "LIVE" not in (answer := await mesh.ask_proxy(pod, "ready")):
                return Fail(
                    f"The proxy of {gateway} has no configuration yet.",
                    f"its Envoy says {answer.strip() or 'nothing'}",
                    "LIVE",
                    "istioctl proxy-status shows which proxies istiod knows.",
                )
    return Pass("both are ready, and their proxies live")


@check("install.joined", title="clerk reaches parcels, sidecar to sidecar", sends_load=True, without_istio=True)
async def joined(mesh: Mesh) -> Outcome:
    istiod = await _istiod(mesh)
    found = {app: await _deployment(mesh, app) for app in APPS}
    for app, deployment in found.items():
        pods = [pod for pod in await _pods(mesh, POST, deployment) if is_ready(pod)]
        if not pods:
            return none_ready(app)
        if bare := [name(pod) for pod in pods if not has_sidecar(pod)]:
            return Fail(
                f"{app} has no sidecar.",
                f"{', '.join(bare)}: READY 1/1",
                "2/2: the program and its proxy",
                "A sidecar is added when a pod starts, if istiod is there to add it. These pods are older, or started "
                "before. New pods: kubectl rollout restart.",
            )
        if istiod is not None and any(is_outdated(pod, istiod) for pod in pods):
            return Fail(
                f"The sidecar of {app} belongs to an Istio that is gone.",
                "the pod is older than istiod, whose certificates it does not trust",
                "a pod that started after istiod",
                f"kubectl rollout restart deployment/{app} -n {POST}",
            )
    if istiod is not None:
        await mesh.settled()
    clerk = (await _ready(mesh, "clerk"))[0]
    measured = await mesh.measure_from(clerk, Request(f"{PARCELS}/headers", plan().requests, count_by=CERTIFICATE))
    if broken := unanswered(measured):
        return broken
    if plain := measured.counts[NONE]:
        return Fail(
            "Requests of clerk reach parcels without a certificate.",
            f"{plain} of {measured.requests} without the header x-forwarded-client-cert",
            "mutual TLS between the two sidecars",
            "Is there a PeerAuthentication or DestinationRule that turns it off?",
        )
    return Pass(f"parcels saw the certificate of clerk in each of {measured.requests} requests")


@check(
    "install.registry-only",
    title="The mesh lets nobody call what it does not know",
    sends_load=True,
    without_istio=True,
)
async def registry_only(mesh: Mesh) -> Outcome:
    if await _istiod(mesh) is None:
        return Fail(
            "There is no mesh.",
            "no istiod",
            "a mesh whose sidecars refuse unknown addresses",
            "Install Istio first.",
        )
    await mesh.settled()
    known = await reach(mesh, f"{PARCELS}.{POST}/version", "inside")
    if not known.answered:
        return Fail(
            "A service of the cluster cannot be reached from inside the mesh.",
            f"{known.url}: {known.words}",
            "services that Istio knows are reachable as before",
            f"Is parcels ready? kubectl get pods -n {POST}",
        )
    address = (await _ready(mesh, "parcels"))[0]["status"]["podIP"]
    unknown = await reach(mesh, f"http://{address}:{PORT}/version", "inside")
    # A cut connection, or a 502 of the caller's proxy where another service has the same port; parcels says 200.
    if unknown.measured.counts.total():
        return Fail(
            "An address that is no service reaches its goal.",
            f"{unknown.url} (a pod's own address), from inside the mesh: {unknown.words}",
            "the caller's sidecar ends the connection",
            "meshConfig.outboundTrafficPolicy.mode decides. kubectl get configmap istio -n istio-system -o yaml shows "
            "the mesh's configuration: is the option still there after the last istioctl install?",
        )
    return Pass(f"services answer, and to {unknown.url} there is {unknown.words}")


@check("install.out", title="The post office works, and is out of the mesh", sends_load=True, without_istio=True)
async def out(mesh: Mesh) -> Outcome:
    namespace = next((one for one in await mesh.list("namespaces") if name(one) == POST), None)
    if namespace is None:
        raise not_set_up()
    asks = {key: value for key, value in labels(namespace).items() if key in ("istio-injection", "istio.io/rev")}
    if asks and asks != {"istio-injection": "disabled"}:
        return Fail(
            f"The namespace {POST} still asks for sidecars.",
            ", ".join(f"{key}={value}" for key, value in asks.items()),
            "no such label: the next Istio on this cluster is not to touch the post office unasked",
            "A minus behind its name takes a label away: kubectl label namespace NAME LABEL-",
        )
    for app in APPS:
        ready = await _ready(mesh, app)
        if not ready:
            return none_ready(app)
        if left := [name(pod) for pod in ready if has_sidecar(pod)]:
            return Fail(
                f"{app} still runs with a sidecar.",
                f"{', '.join(left)}: READY 2/2",
                "1/1: a proxy without a control plane gets no new certificate, and fails within a day",
                f"kubectl rollout restart deployment -n {POST}",
            )
    await mesh.departed(POST)
    if not (clerks := await _ready(mesh, "clerk")):
        return none_ready("clerk")
    clerk, url = clerks[0], f"{PARCELS}/version"
    await mesh.led_to(clerk, url)
    measured = await mesh.measure_from(clerk, Request(url, plan().requests, count_by="status"))
    return unanswered(measured) or Pass(f"{measured.requests} requests of clerk answered, without a sidecar in between")


@check("install.webhooks", title="No webhook waits for an istiod that is gone", without_istio=True)
async def webhooks(mesh: Mesh) -> Outcome:
    if refusal := await mesh.refusal(ASKING, BARE):
        return Fail(
            "No pod can start any more in a namespace that asks for sidecars.",
            refusal,
            "new pods start, without a sidecar",
            "The API server still asks istiod about each pod: a webhook configuration is left. They belong to no "
            "namespace: kubectl get mutatingwebhookconfigurations",
        )
    left = [name(one) for resource in WEBHOOKS for one in await mesh.list(resource) if asks_istio(one)]
    if left:
        return Fail(
            "Istio's webhooks are still registered.",
            ", ".join(left),
            f"none that calls a service in {SYSTEM}",
            "istioctl uninstall removes them with the control plane that they call.",
        )
    return Pass("new pods start, and nobody is asked")


@check("install.kinds", title="No kind, role or namespace of Istio is left", without_istio=True)
async def kinds(mesh: Mesh) -> Outcome:
    crds = [name(one) for one in await mesh.list(KINDS) if name(one).endswith(".istio.io")]
    roles = [name(one) for resource in ROLES for one in await mesh.list(resource) if is_istios(one)]
    namespaces = [one for one in map(name, await mesh.list("namespaces")) if one == SYSTEM]
    if not (crds or roles or namespaces):
        return Pass("none is left")
    parts = [
        f"{len(found)} {word if len(found) == 1 else words}"
        for found, word, words in ((crds, "kind", "kinds"), (roles, "role or binding", "roles and bindings"))
        if found
    ]
    parts += [f"the namespace {one}" for one in namespaces]
    return Fail(
        "Something of Istio is left in the cluster.",
        f"{', '.join(parts)}, such as {(crds or roles or namespaces)[0]}",
        "no kind of istio.io, no role of istiod, no namespace istio-system",
        "Without --purge istioctl keeps what other control planes might share. The namespace it always keeps.",
    )


def name(obj: Object) -> str:
    """An object's name."""
    return str(obj["metadata"]["name"])


def labels(obj: Object) -> dict[str, str]:
    """An object's labels, {} for none."""
    return dict(obj["metadata"].get("labels") or {})


def runs(deployment: Object) -> bool:
    """Whether it has replicas, and all of them run as its object says."""
    return bool(deployment["spec"].get("replicas", 1)) and is_complete(deployment)


def _replicas(deployment: Object) -> str:
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    return f"{status.get('availableReplicas', 0)} of {wanted} replicas available"


def asks_istio(configuration: Object) -> bool:
    """Whether a webhook of this configuration calls a service of Istio's namespace."""
    services: Iterable[Object] = (
        (webhook.get("clientConfig") or {}).get("service") or {} for webhook in configuration.get("webhooks") or ()
    )
    return any(service.get("namespace") == SYSTEM for service in services)


def is_istios(role: Object) -> bool:
    """Whether a cluster-wide role or binding came with Istio: by the charts' label, or by its name without one."""
    given = labels(role)
    known = given.get("app.kubernetes.io/part-of") == "istio" or "operator.istio.io/component" in given
    return known or name(role).startswith(("istiod-", "istio-reader-"))


def none_ready(app: str) -> Fail:
    """The outcome for an app of the lab none of whose pods is ready."""
    return Fail(
        f"{app} does not run.",
        f"no ready pod with the label app={app} in namespace {POST}",
        "one that is ready",
        f"kubectl get events -n {POST} --sort-by=.lastTimestamp tells what keeps new pods from starting.",
    )


def not_set_up() -> CannotJudge:
    """The error for a lab whose application is missing: not the learner's fault."""
    return CannotJudge(f"the lab's application in namespace {POST} is not there", "meshdojo reset install")


async def _istiod(mesh: Mesh) -> Object | None:
    found = [one for one in await mesh.list("deployments.apps", SYSTEM) if labels(one).get("app") == "istiod"]
    return found[0] if found else None


async def _deployment(mesh: Mesh, app: str) -> Object:
    """Raises CannotJudge without it: nothing that a learner is asked to do removes it."""
    for deployment in await mesh.list("deployments.apps", POST):
        if name(deployment) == app:
            return deployment
    raise not_set_up()


async def _pods(mesh: Mesh, namespace: str, deployment: Object) -> list[Object]:
    selector = deployment["spec"]["selector"]["matchLabels"]
    return [pod for pod in await mesh.list("pods", namespace) if selects(selector, pod) and not _ended(pod)]


def _ended(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]


async def _ready(mesh: Mesh, app: str) -> list[Object]:
    return [pod for pod in await _pods(mesh, POST, await _deployment(mesh, app)) if is_ready(pod)]
