"""The checks of the lab `injection` against a mesh that answers as told."""

from typing import Any

import pytest

from meshdojo.checks.labs import injection
from meshdojo.checks.outcome import CannotJudge, Fail, Pass
from meshdojo.checks.reach import plan

pytestmark = pytest.mark.anyio

NAMESPACES = {
    "roster": "depot",
    "client": "depot",
    "archive": "depot",
    "declarations": "customs",
    "gate": "yard",
    "crane": "quay",
}
CHECKS = (
    *(injection.proxied, injection.future, injection.archive, injection.by_hand),
    *(injection.customs, injection.gate, injection.crane),
)


class Mesh:
    """`pods` by app: whether each has a sidecar. `injects` decides for a new pod; `servers`: what answers say."""

    def __init__(self, measurement: Any, pod: Any, **state: Any) -> None:
        self._measurement = measurement
        pods: dict[str, list[bool]] = state.get("pods", {})
        written: set[str] = state.get("written", set())
        self._servers: dict[str, Any] = state.get("servers", {})
        self._injects = state.get("injects", lambda namespace, labels: False)
        apps = state.get("apps", NAMESPACES)
        self._objects: dict[tuple[str, Any], list[Any]] = {}
        for app, namespace in NAMESPACES.items():
            self._objects.setdefault(("pods", namespace), []).extend(
                pod(f"{app}-{number}", namespace, sidecar=sidecar, app=app)
                for number, sidecar in enumerate(pods.get(app, []))
            )
            if app in apps:
                template = pod(app, namespace, sidecar=app in written, app=app)
                deployment = {"metadata": {"name": app, "namespace": namespace}, "spec": {"template": template}}
                self._objects.setdefault(("deployments.apps", namespace), []).append(deployment)

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._objects.get((resource, namespace), [])

    async def would_become(self, namespace: Any, obj: Any) -> Any:
        sidecar = self._injects(namespace, obj["metadata"].get("labels", {}))
        return {**obj, "spec": {**obj["spec"], "initContainers": [{"name": "istio-proxy"}] if sidecar else []}}

    async def measure(self, request: Any) -> Any:
        app = request.url.removeprefix("http://").partition(".")[0]
        assert request.place == "outside"
        counts = self._servers.get(app, {injection.NOBODY: request.requests})
        errors = {"refused": request.requests} if counts == "dead" else {}
        return self._measurement({} if errors else counts, errors=errors)


@pytest.fixture
def mesh(measurement: Any, pod: Any) -> Any:
    return lambda **state: Mesh(measurement, pod, **state)


def everything(namespace: Any, labels: Any) -> bool:
    return bool(labels.get("app") != "archive")


SIDECAR = {injection.PROXY: plan().requests}
HALF = {injection.PROXY: plan().requests - 1, injection.NOBODY: 1}


@pytest.mark.parametrize(
    ("pods", "servers", "reason"),
    [
        ({"client": [True], "roster": [True, True]}, {"roster": SIDECAR}, ""),
        ({"client": [False], "roster": [True]}, {"roster": SIDECAR}, "client runs without a sidecar."),
        ({"client": [True], "roster": [True, False]}, {"roster": SIDECAR}, "roster runs without a sidecar."),
        ({"client": [True], "roster": []}, {"roster": SIDECAR}, "No pod of roster is ready."),
        ({"client": [True], "roster": [True]}, {"roster": HALF}, "The answers of roster do not come from whom"),
        ({"client": [True], "roster": [True]}, {"roster": "dead"}, f"{plan().requests} of {plan().requests} requests"),
    ],
)
async def test_proxied(mesh: Any, pods: Any, servers: Any, reason: Any) -> None:
    outcome = await injection.proxied(mesh(pods=pods, servers=servers))
    assert isinstance(outcome, Fail if reason else Pass)
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith(reason)


@pytest.mark.parametrize("injects", [True, False])
async def test_future_and_customs_ask_for_a_pod_without_labels(mesh: Any, injects: bool) -> None:
    asked: list[Any] = []

    def answer(namespace: Any, labels: Any) -> bool:
        asked.append((namespace, labels))
        return injects

    state = mesh(injects=answer)
    assert isinstance(await injection.future(state), Pass if injects else Fail)
    assert isinstance(await injection.customs(state), Fail if injects else Pass)
    assert asked == [("depot", {}), ("customs", {})]


@pytest.mark.parametrize(
    ("pods", "injects", "servers", "reason"),
    [
        ([False], everything, {}, ""),
        ([True], everything, {"archive": SIDECAR}, "archive runs with a sidecar."),
        ([False, True], everything, {}, "archive runs with a sidecar."),
        ([False], lambda *_: True, {}, "archive has no sidecar now, but would get one"),
        ([], everything, {}, "No pod of archive is ready."),
        ([False], everything, {"archive": HALF}, "The answers of archive do not come"),
        ([False], everything, {"archive": "dead"}, f"{plan().requests} of {plan().requests} requests"),
    ],
)
async def test_archive(mesh: Any, pods: Any, injects: Any, servers: Any, reason: Any) -> None:
    outcome = await injection.archive(mesh(pods={"archive": pods}, injects=injects, servers=servers))
    assert isinstance(outcome, Fail if reason else Pass)
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith(reason)


@pytest.mark.parametrize(
    ("pods", "written", "servers", "reason"),
    [
        ([True], {"declarations"}, {"declarations": SIDECAR}, ""),
        ([True], set(), {"declarations": SIDECAR}, "The Deployment declarations does not name a sidecar."),
        ([False], {"declarations"}, {}, "declarations runs without a sidecar."),
        ([True], {"declarations"}, {}, "The answers of declarations do not come"),
    ],
)
async def test_by_hand(mesh: Any, pods: Any, written: Any, servers: Any, reason: Any) -> None:
    outcome = await injection.by_hand(mesh(pods={"declarations": pods}, written=written, servers=servers))
    assert isinstance(outcome, Fail if reason else Pass)
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith(reason)


@pytest.mark.parametrize(("check", "app"), [(injection.gate, "gate"), (injection.crane, "crane")])
async def test_the_harbour(mesh: Any, check: Any, app: Any) -> None:
    right = {"pods": {app: [True]}, "injects": everything, "servers": {app: SIDECAR}}
    assert isinstance(await check(mesh(**right)), Pass)
    for wrong, reason in (
        ({"injects": lambda *_: False}, f"New pods of {app} would start without a sidecar."),
        ({"pods": {app: [False]}}, f"{app} runs without a sidecar."),
        ({"pods": {app: []}}, f"No pod of {app} is ready."),
        ({"servers": {}}, f"The answers of {app} do not come from whom they should."),
    ):
        outcome = await check(mesh(**{**right, **wrong}))
        assert isinstance(outcome, Fail)
        assert outcome.reason == reason


async def test_a_new_pod_has_the_labels_of_the_template_and_nothing_of_an_old_one(pod: Any) -> None:
    template = {**pod("gate", app="gate"), "status": {}}
    template["metadata"] = {"labels": {"app": "gate"}, "annotations": {"a": "b"}, "creationTimestamp": None}
    made = injection.pod_of({"spec": {"template": template}})
    assert made["metadata"] == {"generateName": "question-", "labels": {"app": "gate"}, "annotations": {"a": "b"}}
    assert set(made) == {"apiVersion", "kind", "metadata", "spec"}


@pytest.mark.parametrize("check", CHECKS)
async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any, check: Any) -> None:
    with pytest.raises(CannotJudge, match="not set up"):
        await check(mesh(apps=(), injects=everything))


def test_the_error_rates_are_as_stated() -> None:
    """One answer in four past the sidecar is missed once in 1,000; nothing is left to chance in a right mesh."""
    assert plan().false_fail <= 1e-6
    assert plan().miss <= 1e-3
    assert plan().low == plan().requests
