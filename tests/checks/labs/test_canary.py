"""The checks of the lab `canary` against a mesh that answers as told."""

from collections import Counter
from typing import Any

import pytest

from meshdojo.checks.labs import canary
from meshdojo.checks.outcome import CannotJudge, Fail, Pass

pytestmark = pytest.mark.anyio

WEB = {"metadata": {"name": "web", "namespace": "fleet"}, "spec": {"selector": {"app": "web"}}}
SUBSETS = {
    "metadata": {"name": "web", "namespace": "fleet"},
    "spec": {
        "host": "web",
        "subsets": [{"name": name, "labels": {"version": name}} for name in ("original", "experimental")],
    },
}


class Mesh:
    """`customers`, `testers` and `callers` (in the mesh) map versions (or None for a 503) to shares of the requests;
    `returning` maps the pods that customers with a cookie met (``a``, ``a+b``) to how many they were.
    """

    def __init__(
        self,
        measurement: Any,
        customers: Any = None,
        testers: Any = None,
        pods: Any = (),
        routes: Any = (),
        deployments: Any = (),
        services: Any = (WEB,),
        callers: Any = None,
        returning: Any = None,
    ) -> None:
        self._measurement = measurement
        self._callers = callers or {"original": 1.0}
        self._returning = returning
        self._answers = {(): customers or {"original": 1.0}, canary.PREVIEW: testers or {"original": 1.0}}
        self._objects = {
            "pods": list(pods),
            "services": list(services),
            "deployments.apps": list(deployments),
            canary.VIRTUAL_SERVICES: [
                {"metadata": {"name": "web", "namespace": "fleet"}, "spec": {"http": list(routes)}}
            ],
            canary.DESTINATION_RULES: [SUBSETS],
        }
        self.asked: list[Any] = []

    async def measure(self, request: Any) -> Any:
        self.asked.append(request)
        if request.session and self._returning is not None:
            assert request.count_by == "json:pod"
            pods = Counter(pod for met, number in self._returning.items() for pod in met.split("+") * number)
            missing = request.requests - pods.total()
            return self._measurement(pods + Counter({max(pods): missing}), sessions=self._returning)
        counts: Counter[Any] = Counter()
        left = request.requests
        inside = request.place == "inside"
        assert inside == (request.url == canary.CALLERS_URL)
        shares = list((self._callers if inside else self._answers[request.headers]).items())
        for version, share in shares[1:]:
            counts[version] = round(request.requests * share)
            left -= counts[version]
        counts[shares[0][0]] += left
        broken = counts.pop(None, 0)
        statuses = {"200": counts.total(), "503": broken} if broken else {"200": counts.total()}
        return self._measurement(counts, statuses, examples={"503": "no healthy upstream"})

    async def list(self, resource: Any, namespace: Any = None) -> Any:
        return self._objects[resource]


@pytest.fixture
def mesh(measurement: Any) -> Any:
    return lambda **state: Mesh(measurement, **state)


@pytest.fixture
def web(pod: Any) -> Any:
    return lambda version, **options: pod(f"web-{version}", app="web", version=version, **options)


def route(*destinations: Any) -> Any:
    entries = []
    for subset, weight in destinations:
        entry = {"destination": {"host": "web"} | ({"subset": subset} if subset else {})}
        entries.append(entry | ({"weight": weight} if weight is not None else {}))
    return {"route": entries}


async def test_hidden(mesh: Any, web: Any) -> None:
    both = [web("original"), web("experimental")]
    assert isinstance(await canary.hidden(mesh(pods=both)), Pass)
    leak = await canary.hidden(mesh(pods=both, customers={"original": 0.99, "experimental": 0.01}))
    assert isinstance(leak, Fail)
    assert leak.reason == "Customers who did not ask for it get the experimental version."


async def test_hidden_proves_nothing_when_there_is_nothing_to_hide(mesh: Any, web: Any) -> None:
    for pods in ([web("original")], [web("original"), web("experimental", ready=False)]):
        outcome = await canary.hidden(mesh(pods=pods))
        assert isinstance(outcome, Fail)
        assert outcome.reason == "There is no experimental version yet."


async def test_hidden_wants_the_experimental_pods_in_the_mesh(mesh: Any, web: Any) -> None:
    outcome = await canary.hidden(mesh(pods=[web("original"), web("experimental", sidecar=False)]))
    assert isinstance(outcome, Fail)
    assert "not in the mesh" in outcome.reason


async def test_a_lab_that_is_not_set_up_cannot_be_judged(mesh: Any) -> None:
    for check in (
        *(canary.hidden, canary.preview, canary.share, canary.weights),
        *(canary.promoted, canary.no_errors, canary.retired),
        *(canary.callers, canary.no_caller_errors, canary.sticky, canary.spread),
    ):
        with pytest.raises(CannotJudge, match="not set up"):
            await check(mesh(services=()))


@pytest.mark.parametrize(
    ("testers", "expected"),
    [
        ({"experimental": 1.0}, Pass),
        ({"experimental": 0.95, "original": 0.05}, Fail),
        ({"original": 1.0}, Fail),
        ({"experimental": 0.5, None: 0.5}, Fail),
    ],
)
async def test_preview(mesh: Any, testers: Any, expected: Any) -> None:
    assert isinstance(await canary.preview(mesh(testers=testers)), expected)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.10, Pass), *((share, Fail) for share in (0.0, 0.04, 0.20, 0.5, 0.9, 1.0))],
)
async def test_share(mesh: Any, share: Any, expected: Any) -> None:
    customers = {"original": 1 - share, "experimental": share}
    assert isinstance(await canary.share(mesh(customers=customers)), expected)


async def test_a_share_of_errors_is_no_canary(mesh: Any) -> None:
    outcome = await canary.share(mesh(customers={"original": 0.9, None: 0.1}))
    assert isinstance(outcome, Fail)
    assert "no good answer" in outcome.reason


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([route((None, None))], Fail),
        ([route(("original", 90), ("experimental", 10))], Pass),
        ([route(("experimental", None)), route(("original", 90), ("experimental", 10))], Pass),
        ([route(("original", 80), (None, 20))], Fail),
        ([route(("original", 90), ("experimental", 10), (None, 0))], Pass),
        ([route(("original", 90), ("experimental", 10), (None, None))], Pass),
        ([route(("original", 90), ("nosuch", 10))], Pass),
        ([{"redirect": {"uri": "/"}}], Pass),
    ],
)
async def test_weights(mesh: Any, web: Any, routes: Any, expected: Any) -> None:
    outcome = await canary.weights(mesh(pods=[web("original"), web("experimental")], routes=routes))
    assert isinstance(outcome, expected)


async def test_weights_names_the_destination(mesh: Any, web: Any) -> None:
    routes = [route(("original", 80), (None, 20))]
    outcome = await canary.weights(mesh(pods=[web("original"), web("experimental")], routes=routes))
    assert isinstance(outcome, Fail)
    assert "web -> web, no subset" in outcome.reason
    assert outcome.saw == "pods behind it: experimental, original"


async def test_weights_accepts_a_service_for_each_version(mesh: Any, web: Any) -> None:
    """Another right solution: two more services in place of subsets."""
    services = [WEB]
    for version in ("original", "experimental"):
        selector = {"app": "web", "version": version}
        services.append({"metadata": {"name": f"web-{version}", "namespace": "fleet"}, "spec": {"selector": selector}})
    entries = [
        {"destination": {"host": "web-original.fleet.svc.cluster.local"}, "weight": 90},
        {"destination": {"host": "web-experimental"}, "weight": 10},
    ]
    pods = [web("original"), web("experimental")]
    assert isinstance(await canary.weights(mesh(pods=pods, services=services, routes=[{"route": entries}])), Pass)


@pytest.mark.parametrize(
    ("customers", "promoted", "errors"),
    [
        ({"experimental": 1.0}, Pass, Pass),
        ({"original": 1.0}, Fail, Pass),
        ({"experimental": 0.99, "original": 0.01}, Fail, Pass),
        ({"experimental": 0.1, None: 0.9}, Pass, Fail),
        ({None: 1.0}, Fail, Fail),
    ],
)
async def test_promoted_and_errors_are_judged_apart(mesh: Any, customers: Any, promoted: Any, errors: Any) -> None:
    state = mesh(customers=customers)
    assert isinstance(await canary.promoted(state), promoted)
    assert isinstance(await canary.no_errors(state), errors)
    assert state.asked[0] == state.asked[1]  # one sample for both


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.10, Pass), *((share, Fail) for share in (0.0, 0.03, 0.25, 0.5, 0.75, 1.0))],
)
async def test_callers(mesh: Any, share: Any, expected: Any) -> None:
    callers = {"original": 1 - share, "experimental": share}
    state = mesh(callers=callers, customers={"original": 0.9, "experimental": 0.1})
    assert isinstance(await canary.callers(state), expected)
    assert isinstance(await canary.share(state), Pass)  # the one says nothing about the other


@pytest.mark.parametrize(
    ("callers", "expected"),
    [
        ({"experimental": 1.0}, Pass),
        ({"original": 1.0}, Pass),  # no error; who answers is another check's
        ({"experimental": 0.95, None: 0.05}, Fail),
        ({None: 1.0}, Fail),
    ],
)
async def test_no_caller_errors(mesh: Any, callers: Any, expected: Any) -> None:
    outcome = await canary.no_caller_errors(mesh(callers=callers, customers={None: 1.0}))
    assert isinstance(outcome, expected)
    if isinstance(outcome, Fail):
        assert outcome.reason.startswith("Inside the mesh: ")


@pytest.mark.parametrize(
    ("returning", "sticky", "spread"),
    [
        ({"a": 13, "b": 11}, Pass, Pass),
        ({"a": 23, "b": 1}, Pass, Pass),
        ({"a": 24}, Pass, Fail),
        ({"a": 12, "b": 11, "a+b": 1}, Fail, Pass),
        ({"a+b": 24}, Fail, Pass),
    ],
)
async def test_sticky_and_spread_are_judged_apart(
    mesh: Any, web: Any, returning: Any, sticky: Any, spread: Any
) -> None:
    state = mesh(pods=[web("original"), web("experimental")], returning=returning)
    assert isinstance(await canary.sticky(state), sticky)
    assert isinstance(await canary.spread(state), spread)
    assert state.asked[0] == state.asked[1]  # one sample for both


async def test_to_stick_to_the_only_pod_is_no_achievement(mesh: Any, web: Any) -> None:
    outcome = await canary.sticky(mesh(pods=[web("original"), web("experimental", ready=False)], returning={"a": 24}))
    assert isinstance(outcome, Fail)
    assert "only one pod" in outcome.reason


async def test_customers_without_an_answer_prove_nothing(mesh: Any, web: Any) -> None:
    state = mesh(pods=[web("original"), web("experimental")], customers={"original": 0.9, None: 0.1})
    for judge in (canary.sticky, canary.spread):
        outcome = await judge(state)
        assert isinstance(outcome, Fail)
        assert "no good answer" in outcome.reason


async def test_retired(mesh: Any, web: Any) -> None:
    def deployment(replicas: Any) -> Any:
        labels = {"app": "web", "version": "original"}
        return {
            "metadata": {"name": "web-original"},
            "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}}},
        }

    assert isinstance(await canary.retired(mesh(pods=[web("experimental")])), Pass)
    assert isinstance(await canary.retired(mesh(pods=[web("experimental")], deployments=[deployment(0)])), Pass)
    assert isinstance(await canary.retired(mesh(pods=[web("experimental")], deployments=[deployment(1)])), Fail)
    outcome = await canary.retired(mesh(pods=[web("original")]))
    assert isinstance(outcome, Fail)
    assert outcome.saw == "web-original"


def test_the_error_rates_are_as_stated() -> None:
    for proportion in (canary.HIDDEN, canary.PREVIEWED, canary.TENTH, canary.PROMOTED, canary.CALLERS_TENTH):
        assert proportion.design.false_fail <= 1e-6
        assert proportion.design.miss <= 1e-3
    # One caller's request in twenty fails, and none of the sample does.
    assert 0.95**canary.CALLERS_REQUESTS <= 1e-3
    # One later request in ten goes to another pod, and none of the sample does.
    assert 0.9 ** (canary.STICKY_CUSTOMERS * (canary.STICKY_REQUESTS - 1)) <= 1e-3
    # A good hash puts all customers on the same one of two pods.
    assert 2 * 0.5**canary.STICKY_CUSTOMERS <= 1e-6


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web", "web"),
        ("web.fleet", "web"),
        ("web.fleet.svc", "web"),
        ("web.fleet.svc.cluster.local", "web"),
        ("web.other", ""),
        ("example.com", ""),
    ],
)
def test_service_names(host: Any, name: Any) -> None:
    assert canary.service_name(host) == name
