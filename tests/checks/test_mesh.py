from typing import Any

import pytest

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.streams import ExecResult

pytestmark = pytest.mark.anyio


class Probe:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def measure(self, request: Any) -> Any:
        self.asked.append(request)
        return object()


def mesh_of(cluster: Any, probe: Any) -> Mesh:
    return Mesh(cluster, probe)


async def test_one_sample_serves_all_checks_of_a_run(cluster: Any) -> None:
    probe = Probe()
    mesh = mesh_of(cluster, probe)
    first, again = await mesh.measure(Request("http://a/", 5)), await mesh.measure(Request("http://a/", 5))
    other = await mesh.measure(Request("http://a/", 6))
    assert first is again
    assert first is not other
    assert len(probe.asked) == 2


async def test_a_load_can_come_from_a_pod_of_the_lab(cluster: Any, pod: Any, output: Any) -> None:
    request = Request("http://staff/", 5)
    cluster.on_exec = lambda namespace, name, command: ExecResult(0, output(v2=5), b"")
    measured = await mesh_of(cluster, Probe()).measure_from(pod("desk"), request)
    assert measured.counts == {"v2": 5}
    [(namespace, name, command, *_)] = cluster.execs
    assert (namespace, name, command) == ("fleet", "desk", request.command())


async def test_a_pod_that_can_send_no_load_cannot_be_judged(cluster: Any, pod: Any) -> None:
    cluster.on_exec = lambda namespace, name, command: ExecResult(1, b"", b"No module named probe")
    with pytest.raises(CannotJudge, match="the load generator in pod desk failed: No module named probe"):
        await mesh_of(cluster, Probe()).measure_from(pod("desk"), Request("http://staff/", 5))


async def test_objects_are_listed_once(cluster: Any, pod: Any) -> None:
    mesh = mesh_of(cluster, Probe())
    cluster.add("pods", pod("a"))
    first = await mesh.list("pods", "fleet")
    cluster.add("pods", pod("b"))
    assert await mesh.list("pods", "fleet") is first


async def test_a_kind_that_the_cluster_does_not_know_cannot_be_judged(cluster: Any) -> None:
    cluster.unknown.add("virtualservices.networking.istio.io")
    with pytest.raises(CannotJudge, match="the cluster has no virtualservices"):
        await mesh_of(cluster, Probe()).list("virtualservices.networking.istio.io", "fleet")


async def test_what_a_pod_would_become_is_asked_for_without_making_it(cluster: Any, pod: Any) -> None:
    async def create(resource: Any, obj: Any, namespace: Any, *, dry_run: bool) -> Any:
        assert (resource, namespace, dry_run) == ("pods", "fleet", True)
        return {**obj, "injected": True}

    cluster.create = create
    assert (await mesh_of(cluster, Probe()).would_become("fleet", pod("a")))["injected"]


async def test_a_namespace_that_takes_no_pod_cannot_be_judged(cluster: Any, pod: Any) -> None:
    async def create(*_: Any, **__: Any) -> Any:
        raise StatusError(404, "NotFound", 'namespaces "fleet" not found')

    cluster.create = create
    with pytest.raises(CannotJudge, match="namespace fleet takes no pod"):
        await mesh_of(cluster, Probe()).would_become("fleet", pod("a"))


async def test_a_command_runs_in_the_pods_default_container(cluster: Any, pod: Any) -> None:
    cluster.on_exec = lambda namespace, name, command: ExecResult(56, b"", b"reset")
    assert (await mesh_of(cluster, Probe()).run(pod("a"), ["curl", "x"])).exit_code == 56
    assert cluster.execs == [("fleet", "a", ["curl", "x"], None)]


async def test_a_command_that_cannot_start_is_no_verdict(cluster: Any, pod: Any) -> None:
    def refuse(*_: Any) -> Any:
        raise StatusError(404, "NotFound", 'pods "a" not found')

    cluster.on_exec = refuse
    with pytest.raises(CannotJudge, match="nothing can be run in the pod fleet/a"):
        await mesh_of(cluster, Probe()).run(pod("a"), ["curl", "x"])


async def test_a_proxy_is_asked_through_its_own_agent(cluster: Any, pod: Any) -> None:
    cluster.on_exec = lambda namespace, name, command: ExecResult(0, b"a.b: 1\n", b"")
    assert await mesh_of(cluster, Probe()).ask_proxy(pod("a"), "stats") == "a.b: 1\n"
    assert cluster.execs == [("fleet", "a", ["pilot-agent", "request", "GET", "stats"], "istio-proxy")]


async def test_a_proxy_that_does_not_answer_is_no_verdict(cluster: Any, pod: Any) -> None:
    cluster.on_exec = lambda namespace, name, command: ExecResult(1, b"", b"Error: connection refused")
    with pytest.raises(CannotJudge, match=r"the proxy of pod a does not answer: .*refused"):
        await mesh_of(cluster, Probe()).ask_proxy(pod("a"), "stats")


async def test_the_probe_inside_is_the_one_with_a_proxy(cluster: Any, pod: Any) -> None:
    mesh = mesh_of(cluster, Probe())
    cluster.add("pods", pod("old", "meshdojo-probe", sidecar=False), pod("new", "meshdojo-probe"))
    assert (await mesh.inside())["metadata"]["name"] == "new"
    cluster.objects["pods"] = [pod("new", "meshdojo-probe", ready=False)]
    with pytest.raises(CannotJudge, match="not ready"):
        await mesh_of(cluster, Probe()).inside()


async def test_what_the_api_server_says_to_a_new_pod(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def create(resource: str, obj: Any, namespace: str, *, dry_run: bool) -> Any:
        assert (resource, namespace, dry_run) == ("pods", "post", True)
        if refusals:
            raise refusals.pop()
        return obj

    monkeypatch.setattr(cluster, "create", create, raising=False)
    refusals = [
        StatusError(404, "NotFound", 'namespaces "post" not found'),
        StatusError(500, "InternalError", "failed calling webhook"),
    ]
    mesh = mesh_of(cluster, Probe())
    assert "failed calling webhook" in await mesh.refusal("post", {})
    with pytest.raises(CannotJudge, match="not found"):
        await mesh.refusal("post", {})
    assert await mesh.refusal("post", {}) == ""
