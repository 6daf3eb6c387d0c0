import asyncio
import json
from typing import Any

import pytest

import meshdojo.checks.mesh
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


async def test_pods_on_their_way_out_are_waited_for_and_forgotten(cluster: Any, pod: Any) -> None:
    mesh = mesh_of(cluster, Probe())
    leaving = pod("old")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.add("pods", leaving, pod("new"))
    cluster.on_watch = lambda resource: cluster.objects[resource].remove(leaving)
    assert len(await mesh.list("pods", "fleet")) == 2
    await mesh.departed("fleet")
    assert [one["metadata"]["name"] for one in await mesh.list("pods", "fleet")] == ["new"]


async def test_a_pod_that_does_not_go_is_no_verdict(cluster: Any, pod: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshdojo.checks.mesh, "DEPARTURE_SECONDS", 0.01)
    leaving = pod("old")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.add("pods", leaving)

    async def watch(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()
        yield

    cluster.watch = watch
    with pytest.raises(CannotJudge, match="pods of namespace fleet were deleted, and do not go: old"):
        await mesh_of(cluster, Probe()).departed("fleet")


async def test_a_service_that_the_node_does_not_know_yet_is_waited_for(
    cluster: Any, pod: Any, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshdojo.checks.mesh, "POLL_SECONDS", 0.0)
    refused = json.dumps({**json.loads(output()), "requests": 1, "errors": {"refused": 1}}).encode()
    answers = [refused, refused, output(v1=1)]
    cluster.on_exec = lambda namespace, name, command: ExecResult(0, answers.pop(0), b"")
    await mesh_of(cluster, Probe()).led_to(pod("desk"), "http://staff/")
    assert answers == []


async def test_a_service_that_nothing_answers_for_is_not_waited_for_for_ever(
    cluster: Any, pod: Any, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meshdojo.checks.mesh, "FOLLOWING_SECONDS", 0.01)
    refused = json.dumps({**json.loads(output()), "requests": 1, "errors": {"refused": 1}}).encode()
    cluster.on_exec = lambda namespace, name, command: ExecResult(0, refused, b"")
    await mesh_of(cluster, Probe()).led_to(pod("desk"), "http://staff/")


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
