"""The checks of the lab `install` against a cluster that answers as told: whole, half or without Istio."""

from typing import Any

import pytest

from meshdojo.checks.labs import install
from meshdojo.checks.outcome import CannotJudge, Fail, Pass
from meshdojo.checks.reach import plan

pytestmark = pytest.mark.anyio

BEFORE, INSTALLED, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"
COMPLETE = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
REFUSAL = 'failed calling webhook "namespace.sidecar-injector.istio.io": service "istiod" not found'
DEMO = ("istiod", "istio-ingressgateway", "istio-egressgateway")
ENOUGH = plan().requests


def deployment(name: str, namespace: str, replicas: int = 1, ready: bool = True, **labels: str) -> Any:
    metadata = {"name": name, "namespace": namespace, "labels": labels, "generation": 1, "creationTimestamp": INSTALLED}
    status = COMPLETE if ready and replicas else {"observedGeneration": 1}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    return {"metadata": metadata, "spec": spec, "status": status}


class Mesh:
    """`istio`: the Deployments of istio-system; `pods`: (app, sidecar, created) of the post office's pods."""

    def __init__(self, measurement: Any, pod: Any, **state: Any) -> None:
        self._measurement = measurement
        self.state = state
        self.settled_times = 0
        self.waits: list[str] = []
        system = [one if isinstance(one, dict) else deployment(one, "istio-system", app=one) for one in state["istio"]]
        pods = state.get("pods", [("clerk", False, LATER), ("parcels", False, LATER)])
        self._objects: dict[tuple[str, Any], list[Any]] = {
            ("deployments.apps", "istio-system"): system,
            ("deployments.apps", "post"): [deployment(app, "post") for app in state.get("apps", install.APPS)],
            ("pods", "istio-system"): [pod(name, "istio-system", app=name) for name in DEMO],
            ("pods", "post"): [
                pod(f"{app}-1", "post", sidecar=sidecar, created=created, app=app) for app, sidecar, created in pods
            ],
            ("namespaces", None): state.get("namespaces", [{"metadata": {"name": "post"}}]),
            **{(resource, None): objects for resource, objects in state.get("objects", {}).items()},
        }

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._objects.get((resource, namespace), [])

    async def settled(self) -> None:
        self.settled_times += 1

    async def departed(self, namespace: str) -> None:
        assert namespace == "post"
        self.waits.append("departed")

    async def led_to(self, pod: Any, url: str) -> None:
        assert (pod["metadata"]["name"], url) == ("clerk-1", VERSION)
        self.waits.append("led to")

    async def refusal(self, namespace: Any, _pod: Any) -> str:
        assert namespace == "meshdojo-probe"
        return str(self.state.get("refusal", ""))

    async def would_become(self, _namespace: Any, obj: Any) -> Any:
        containers = [{"name": "istio-proxy"}] if self.state.get("injects", True) else []
        return {**obj, "spec": {**obj["spec"], "initContainers": containers}}

    async def ask_proxy(self, _pod: Any, path: str) -> str:
        assert path == "ready"
        return str(self.state.get("ready", "LIVE\n"))

    async def measure_from(self, pod: Any, request: Any) -> Any:
        assert pod["metadata"]["name"] == "clerk-1"
        return self._measured(request)

    async def measure(self, request: Any) -> Any:
        assert request.place == "inside"
        return self._measured(request)

    def _measured(self, request: Any) -> Any:
        answer = self.state.get("answers", {}).get(request.url, "200")
        if answer in ("reset", "closed", "refused"):
            return self._measurement({}, errors={answer: request.requests})
        if answer == "502":
            return self._measurement({}, statuses={"502": request.requests})
        return self._measurement({answer: request.requests})


@pytest.fixture
def mesh(measurement: Any, pod: Any) -> Any:
    return lambda **state: Mesh(measurement, pod, **{"istio": DEMO, **state})


def judged(outcome: Any, reason: str) -> None:
    assert isinstance(outcome, Fail if reason else Pass), outcome
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith(reason), outcome


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, ""),
        ({"istio": ()}, "There is no istiod: Istio is not installed."),
        ({"istio": ("istio-ingressgateway",)}, "There is no istiod"),
        ({"istio": (deployment("istiod", "istio-system", replicas=0, app="istiod"),)}, "istiod is not ready."),
        ({"istio": (deployment("istiod", "istio-system", ready=False, app="istiod"),)}, "istiod is not ready."),
        ({"refusal": REFUSAL}, "A new pod in a namespace that asks for sidecars is refused."),
        ({"injects": False}, "A new pod in a namespace that asks for sidecars gets none."),
    ],
)
async def test_control_plane(mesh: Any, state: Any, reason: str) -> None:
    judged(await install.control_plane(mesh(**state)), reason)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, ""),
        ({"istio": ()}, "istio-ingressgateway and istio-egressgateway are missing."),
        ({"istio": ("istiod",)}, "istio-ingressgateway and istio-egressgateway are missing."),
        ({"istio": ("istiod", "istio-ingressgateway")}, "istio-egressgateway is missing."),
        (
            {"istio": (*DEMO[:2], deployment("istio-egressgateway", "istio-system", ready=False))},
            "istio-egressgateway is not ready.",
        ),
        ({"ready": "PRE_INITIALIZING\n"}, "The proxy of istio-ingressgateway has no configuration yet."),
        ({"istio": DEMO[1:]}, ""),  # whether istiod runs is another check's business
    ],
)
async def test_gateways(mesh: Any, state: Any, reason: str) -> None:
    judged(await install.gateways(mesh(**state)), reason)


IN = [("clerk", True, LATER), ("parcels", True, LATER)]
HEADERS, VERSION = "http://parcels/headers", "http://parcels/version"
SEEN = {HEADERS: "By=spiffe://…"}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"pods": IN, "answers": SEEN}, ""),
        ({"istio": ()}, "clerk has no sidecar."),
        ({"pods": [IN[0], ("parcels", False, LATER)]}, "parcels has no sidecar."),
        ({"pods": [IN[0]]}, "parcels does not run."),
        ({"pods": [("clerk", True, BEFORE), IN[1]]}, "The sidecar of clerk belongs to an Istio that is gone."),
        ({"pods": IN, "answers": {HEADERS: install.NONE}}, "Requests of clerk reach parcels without a certificate."),
        ({"pods": IN, "answers": {HEADERS: "reset"}}, f"{ENOUGH} of {ENOUGH} requests got no good answer."),
    ],
)
async def test_joined(mesh: Any, state: Any, reason: str) -> None:
    judged(await install.joined(mesh(**state)), reason)


KNOWN, UNKNOWN = "http://parcels.post/version", "http://10.0.0.1:8080/version"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"answers": {UNKNOWN: "reset"}}, ""),
        ({"answers": {UNKNOWN: "closed"}}, ""),
        ({"istio": ()}, "There is no mesh."),
        ({}, "An address that is no service reaches its goal."),
        ({"answers": {UNKNOWN: "502"}}, ""),
        ({"answers": {KNOWN: "reset", UNKNOWN: "reset"}}, "A service of the cluster cannot be reached"),
    ],
)
async def test_registry_only(mesh: Any, state: Any, reason: str) -> None:
    made = mesh(**state)
    judged(await install.registry_only(made), reason)
    assert made.settled_times == (1 if made.state["istio"] else 0)


def post(**labels: str) -> Any:
    return {"namespaces": [{"metadata": {"name": "post", "labels": {"app": "x", **labels}}}]}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (post(), ""),
        (post(**{"istio-injection": "disabled"}), ""),
        (post(**{"istio-injection": "enabled"}), "The namespace post still asks for sidecars."),
        (post(**{"istio.io/rev": "canary"}), "The namespace post still asks for sidecars."),
        ({**post(), "pods": [("clerk", False, LATER), ("parcels", True, LATER)]}, "parcels still runs with a sidecar."),
        ({**post(), "pods": [("parcels", False, LATER)]}, "clerk does not run."),
        ({**post(), "answers": {VERSION: "refused"}}, f"{ENOUGH} of {ENOUGH} requests got no good answer."),
    ],
)
async def test_out(mesh: Any, state: Any, reason: str) -> None:
    made = mesh(istio=(), **state)
    judged(await install.out(made), reason)
    if not reason or "answer" in reason:
        assert made.waits == ["departed", "led to"], "pods on their way out do not count, nor what a node knows of them"


def named(name: str, **more: Any) -> Any:
    return {"metadata": {"name": name, "labels": more.pop("labels", {})}, **more}


def webhook(namespace: str) -> Any:
    return named("injector", webhooks=[{"clientConfig": {"service": {"name": "istiod", "namespace": namespace}}}])


MUTATING, VALIDATING = install.WEBHOOKS


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, ""),
        ({"refusal": REFUSAL}, "No pod can start any more in a namespace that asks for sidecars."),
        ({"objects": {VALIDATING: [webhook("istio-system")]}}, "Istio's webhooks are still registered."),
        ({"objects": {MUTATING: [webhook("istio-system")]}}, "Istio's webhooks are still registered."),
        ({"objects": {MUTATING: [webhook("cert-manager"), named("by-url", webhooks=[{"clientConfig": {}}])]}}, ""),
    ],
)
async def test_webhooks(mesh: Any, state: Any, reason: str) -> None:
    judged(await install.webhooks(mesh(istio=(), **state)), reason)


CHART = {"app.kubernetes.io/part-of": "istio"}


@pytest.mark.parametrize(
    ("objects", "saw"),
    [
        ({}, ""),
        ({install.KINDS: [named("gateways.gateway.networking.k8s.io")]}, ""),
        ({install.ROLES[0]: [named("cluster-admin"), named("system:coredns")]}, ""),
        ({install.KINDS: [named("gateways.networking.istio.io")]}, "1 kind, such as gateways.networking.istio.io"),
        ({install.ROLES[0]: [named("x", labels=CHART)]}, "1 role or binding, such as x"),
        (
            {install.ROLES[1]: [named("istiod-a"), named("istio-reader-b")]},
            "2 roles and bindings, such as istiod-a",
        ),
        ({"namespaces": [named("post"), named("istio-system")]}, "the namespace istio-system, such as istio-system"),
    ],
)
async def test_kinds(mesh: Any, objects: Any, saw: str) -> None:
    outcome = await install.kinds(mesh(istio=(), objects=objects))
    assert isinstance(outcome, Fail if saw else Pass)
    if isinstance(outcome, Fail):
        assert outcome.saw == saw


@pytest.mark.parametrize("check", [install.joined, install.registry_only, install.out])
async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any, check: Any) -> None:
    with pytest.raises(CannotJudge, match="is not there"):
        await check(mesh(apps=(), namespaces=[]))


def test_the_error_rates_are_as_stated() -> None:
    """One connection in four that behaves otherwise is missed once in 1,000; a right mesh leaves nothing to chance."""
    assert plan().false_fail <= 1e-6
    assert plan().miss <= 1e-3
