import json
from types import SimpleNamespace
from typing import Any

import pytest

from meshdojo.checks import convergence
from meshdojo.checks.convergence import Convergence, debounce_seconds, not_read, parse_syncz, versions
from meshdojo.checks.outcome import CannotJudge
from meshdojo.cluster.errors import StatusError, Unreachable

pytestmark = pytest.mark.anyio

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def resource(name: Any, version: Any, kind: Any = "VirtualService") -> Any:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "fleet", "resourceVersion": version},
    }


class Istiod:
    """What istiod answers; tests change it. Each question is noted."""

    def __init__(self, cluster: Any, pod: Any, forwarded: Any) -> None:
        self.configz = [resource("web", "5")]
        self.resources = {CLUSTER: {"sent": "a", "acked": "a"}, ROUTE: {"sent": "b", "acked": "b"}}
        self.shards: Any = {}
        self.outright: dict[str, Any] = {}
        self.updates = [7]
        self.pending: list[int] = []
        self.asked: list[str] = []
        self.forwarded = forwarded
        istiod = pod("istiod-1", "istio-system", app="istiod")
        istiod["spec"]["containers"] = [
            {"name": "discovery", "env": [{"name": "PILOT_DEBOUNCE_AFTER", "value": "1ms"}]}
        ]
        cluster.add("pods", istiod, pod("gateway", "istio-system"))
        cluster.add(
            "namespaces", {"metadata": {"name": "fleet", "labels": {"app.kubernetes.io/managed-by": "meshdojo"}}}
        )
        cluster.add("namespaces", {"metadata": {"name": "theirs"}})
        cluster.add("virtualservices.networking.istio.io", resource("web", "5"))
        cluster.on_raw, cluster.on_pod_get = self.raw, self.pod_get

    def raw(self, path: Any) -> Any:
        page = path.rsplit("/", 1)[-1]
        if page == "metrics":
            count = self.updates.pop(0) if len(self.updates) > 1 else self.updates[0]
            return f'pilot_inbound_updates{{type="config"}} {count}\npilot_inbound_updates{{type="eds"}} 2\n'.encode()
        if self.forwarded:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return self.page(page)

    def pod_get(self, namespace: Any, pod: Any, port: Any, path: Any) -> Any:
        if namespace == "kube-system":
            return f"kubeproxy_sync_proxy_rules_endpoint_changes_pending {self.pending.pop(0)}".encode()
        assert (namespace, pod, port) == ("istio-system", "istiod-1", 15014)
        return self.page(path.rsplit("/", 1)[-1])

    def page(self, page: Any) -> Any:
        self.asked.append(page)
        pages = {
            "resourcesz": [{"group": "networking.istio.io", "kind": "VirtualService"}],
            "configz": self.configz,
            "endpointShardz": self.shards,
            "syncz": [{"proxy": "gateway.istio-system", "resources": self.resources} | self.outright],
        }
        answer = pages[page]
        return json.dumps(answer() if callable(answer) else answer).encode()


@pytest.fixture(params=[False, True], ids=["by pod proxy", "by port-forward"])
def istiod(request: Any, cluster: Any, pod: Any) -> Any:
    return Istiod(cluster, pod, request.param)


async def test_a_settled_mesh_is_settled(cluster: Any, istiod: Any) -> None:
    await Convergence(cluster).wait()
    assert istiod.asked[:3] == ["resourcesz", "configz", "endpointShardz"]
    assert set(istiod.asked[3:]) == {"syncz"}


async def test_where_the_pod_proxy_is_turned_away_it_is_not_asked_again(cluster: Any, pod: Any) -> None:
    Istiod(cluster, pod, forwarded=True)
    await Convergence(cluster).wait()
    assert len([path for path in cluster.raws if "/debug/" in path]) == 1


async def test_waits_until_istiod_has_read_the_resource(cluster: Any, istiod: Any) -> None:
    answers = [[], [resource("web", "4")], [resource("web", "5")]]
    istiod.configz = lambda: answers.pop(0)
    await Convergence(cluster).wait()
    assert answers == []


def of_theirs(obj: Any) -> Any:
    return {**obj, "metadata": {**obj["metadata"], "namespace": "theirs"}}


async def test_what_others_have_on_the_cluster_is_not_waited_for(
    cluster: Any, pod: Any, istiod: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resource that istiod never reads, one that it still has, a service without endpoints, a proxy that refuses."""
    cluster.add("virtualservices.networking.istio.io", of_theirs(resource("unread", "9")))
    cluster.add("services", {"metadata": {"name": "web", "namespace": "theirs"}, "spec": {"selector": {"app": "web"}}})
    cluster.add("pods", pod("web-1", "theirs", app="web"))
    istiod.configz = [*istiod.configz, of_theirs(resource("gone", "3"))]
    answered = istiod.page

    def page(name: Any) -> Any:
        broken = {"proxy": "web-1.theirs", "resources": {CLUSTER: {"sent": "b", "acked": "a", "lastError": "no"}}}
        found = json.loads(answered(name))
        return json.dumps([*found, broken] if name == "syncz" else found).encode()

    monkeypatch.setattr(istiod, "page", page)
    await Convergence(cluster).wait(seconds=5)


async def test_waits_until_a_deleted_resource_is_gone(cluster: Any, istiod: Any) -> None:
    answers = [[resource("web", "5"), resource("old", "3")], [resource("web", "5")]]
    istiod.configz = lambda: answers.pop(0)
    await Convergence(cluster).wait()
    assert answers == []


async def test_waits_until_no_more_changes_come_in(cluster: Any, istiod: Any) -> None:
    istiod.updates = [7, 8, 9, 9]
    await Convergence(cluster).wait()
    assert istiod.updates == [9]


async def test_an_istiod_that_answers_late_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(convergence, "time", SimpleNamespace(monotonic=lambda: now))

    async def answer(seconds: float) -> float:
        nonlocal now
        now += seconds
        return 7

    quick, slow = convergence._Quiet(0.15), convergence._Quiet(0.15)
    assert not await quick.long_enough(answer(0.01))
    now += 0.2
    assert await quick.long_enough(answer(0.01))
    assert not await slow.long_enough(answer(1))
    now += 0.2
    assert not await slow.long_enough(answer(0.01))
    assert slow.left == pytest.approx(0.15 + 2 - 0.2 - 0.01)


async def test_an_istiod_that_says_outright_what_is_synced_is_believed(cluster: Any, istiod: Any) -> None:
    states = [False, False, True]

    def page(page: Any, original: Any = istiod.page) -> Any:
        if page == "syncz":
            istiod.outright = {"synced": states.pop(0)}
        return original(page)

    istiod.page = page
    await Convergence(cluster).wait()
    assert states == []
    assert not any(path.endswith("/metrics") for path in cluster.raws)


@pytest.mark.parametrize("leaving", [True, False], ids=["leaving", "gone"])
async def test_the_proxy_of_a_pod_that_does_not_stay_is_not_waited_for(cluster: Any, istiod: Any, leaving: Any) -> None:
    istiod.resources = {ROUTE: {"sent": "b", "acked": "a"}}
    [gateway] = [pod for pod in cluster.objects["pods"] if pod["metadata"]["name"] == "gateway"]
    if leaving:
        gateway["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    else:
        cluster.objects["pods"].remove(gateway)
    await Convergence(cluster).wait()


async def test_kinds_that_istiod_does_not_read_are_not_waited_for(cluster: Any, istiod: Any) -> None:
    cluster.add("telemetries.telemetry.istio.io", resource("mesh", "9", "Telemetry"))
    await Convergence(cluster).wait()


async def test_waits_until_the_proxies_have_acknowledged(cluster: Any, istiod: Any) -> None:
    synced = {ROUTE: {"sent": "b", "acked": "b"}}
    answers = [{ROUTE: {"sent": "b", "acked": "a"}}, {ROUTE: {"sent": "b"}}, synced]

    def page(page: Any, original: Any = istiod.page) -> Any:
        if page == "syncz" and answers:
            istiod.resources = answers.pop(0)
        return original(page)

    istiod.page = page
    await Convergence(cluster).wait()
    assert answers == []
    assert istiod.resources is synced


async def test_waits_until_istiod_knows_a_ready_pod(cluster: Any, istiod: Any, pod: Any) -> None:
    cluster.add("services", {"metadata": {"name": "web", "namespace": "fleet"}, "spec": {"selector": {"app": "web"}}})
    cluster.add("pods", pod("web-1", ip="10.0.0.9", app="web"))
    entry = {
        "metadata": {"name": "web-x", "namespace": "fleet", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": True}}],
        "ports": [{"port": 8080}],
    }
    cluster.add("endpointslices.discovery.k8s.io", entry)
    known = {"web.fleet.svc.cluster.local": {"fleet": {"Shards": {"k": [{"Addresses": ["10.0.0.9"]}]}}}}
    answers = [{}, known]
    istiod.shards = lambda: answers.pop(0)
    await Convergence(cluster).wait()
    assert answers == []


async def test_waits_until_the_nodes_have_followed(cluster: Any, istiod: Any, pod: Any) -> None:
    cluster.add("pods", pod("kube-proxy-x", "kube-system", **{"k8s-app": "kube-proxy"}))
    istiod.pending = [2, 1, 0]
    await Convergence(cluster).wait()
    assert istiod.pending == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"configz": []}, "istiod has not read VirtualService/fleet/web"),
        ({"resources": {ROUTE: {"sent": "b"}}}, "gateway.istio-system has not acknowledged RouteConfiguration"),
    ],
)
async def test_a_mesh_that_never_settles_is_an_error_with_the_stage(
    cluster: Any, istiod: Any, change: Any, words: Any
) -> None:
    for name, value in change.items():
        setattr(istiod, name, value)
    # A busy machine may need longer for the stages before this one.
    for seconds in (0.1, 1, 10, 60):
        with pytest.raises(CannotJudge) as told:
            await Convergence(cluster).wait(seconds)
        if words in told.value.error.reason:
            return
    pytest.fail(f"expected '{words}', told '{told.value.error.reason}'")


async def test_a_refusal_is_told_in_the_proxys_words(cluster: Any, istiod: Any) -> None:
    istiod.resources = {ROUTE: {"sent": "b", "acked": "a", "lastError": "duplicate route"}}
    with pytest.raises(CannotJudge, match=r"gateway\.istio-system: RouteConfiguration: duplicate route"):
        await Convergence(cluster).wait()


async def test_without_istio_nothing_can_be_judged(cluster: Any, pod: Any) -> None:
    with pytest.raises(CannotJudge, match="Istio is not installed"):
        await Convergence(cluster).wait()
    cluster.add("pods", pod("istiod-1", "istio-system", ready=False, app="istiod"))
    with pytest.raises(CannotJudge, match="istiod is not ready"):
        await Convergence(cluster).wait()


@pytest.mark.parametrize(
    "error",
    [Unreachable("port 15014 of the pod does not answer: connection refused"), StatusError(404, "", "not found")],
    ids=["no answer", "no such page"],
)
async def test_an_istiod_that_does_not_answer_is_named(cluster: Any, pod: Any, error: Exception) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    Istiod(cluster, pod, forwarded=True)
    cluster.on_pod_get = refuse
    with pytest.raises(CannotJudge, match=f"istiod does not answer /debug/resourcesz: {error}"):
        await Convergence(cluster).wait()


def test_versions_leave_out_what_istiod_made_up_itself() -> None:
    made_up = resource("ingress-0", "")
    of_kubernetes = resource("web", "6", "Gateway") | {"apiVersion": "gateway.networking.k8s.io/v1"}
    assert versions([resource("web", "5"), made_up, of_kubernetes]) == {("VirtualService", "fleet", "web"): "5"}


@pytest.mark.parametrize(
    ("wanted", "read", "late"),
    [("5", "5", False), ("5", "6", False), ("5", "4", True), ("10", "9", True), ("a", "b", True)],
)
def test_a_later_version_will_do(wanted: Any, read: Any, late: Any) -> None:
    key = ("VirtualService", "fleet", "web")
    assert not_read({key: wanted}, {key: read}) == ([key] if late else [])


def test_a_type_that_was_never_sent_is_not_waited_for() -> None:
    [proxy] = parse_syncz([{"proxy": "p", "resources": {ROUTE: {}, CLUSTER: {"sent": "a", "acked": "a"}}}])
    assert (proxy.pending, proxy.errors) == ((), ())


@pytest.mark.parametrize(("value", "seconds"), [("100ms", 0.1), ("1.5s", 1.5), ("1m30s", 90), (None, 0.1)])
def test_istiods_own_patience_is_read_from_its_environment(value: Any, seconds: Any) -> None:
    env = [{"name": "OTHER", "value": "1"}] + ([{"name": "PILOT_DEBOUNCE_AFTER", "value": value}] if value else [])
    pod = {"spec": {"containers": [{"name": "discovery", "env": env}]}}
    assert debounce_seconds(pod) == pytest.approx(seconds)


def test_the_kinds_are_resources_of_istio() -> None:
    assert all(kind.endswith(".istio.io") for kind in convergence.KINDS)
