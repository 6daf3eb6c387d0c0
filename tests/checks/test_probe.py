from typing import Any

import pytest

from meshdojo.checks.measurement import Request
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.probe import NAMESPACES, Probe
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.streams import ExecResult

pytestmark = pytest.mark.anyio

ISTIOD = {
    "metadata": {
        "name": "istiod",
        "namespace": "istio-system",
        "labels": {"app": "istiod"},
        "creationTimestamp": "2026-01-01T12:00:00Z",
    }
}
REQUEST = Request("http://web/", 3)


def deployment(namespace: Any) -> Any:
    return {"metadata": {"name": "probe", "namespace": namespace}}


@pytest.fixture
def ready(cluster: Any, pod: Any) -> Any:
    """A cluster with Istio and both probes as they should be."""
    cluster.add("deployments.apps", ISTIOD, *(deployment(namespace) for namespace in NAMESPACES.values()))
    cluster.add("pods", pod("in", NAMESPACES["inside"], app="probe"))
    cluster.add("pods", pod("out", NAMESPACES["outside"], sidecar=False, app="probe"))
    return cluster


async def test_nothing_is_changed_when_all_is_well(ready: Any) -> None:
    await Probe(ready).ensure()
    assert (ready.applied, ready.deleted) == ([], [])


async def test_missing_objects_are_made(ready: Any) -> None:
    ready.objects["deployments.apps"] = [ISTIOD, deployment(NAMESPACES["inside"])]
    await Probe(ready).ensure()
    assert [obj["kind"] for obj in ready.applied] == ["Namespace", "Namespace", "Deployment", "Deployment"]
    labels = {obj["metadata"]["name"]: obj["metadata"]["labels"] for obj in ready.applied[:2]}
    assert labels["meshdojo-probe"]["istio-injection"] == "enabled"
    assert labels["meshdojo-outside"]["istio-injection"] == "disabled"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sidecar": False}, "Istio came after the pod"),
        ({"created": "2026-01-01T00:00:00Z"}, "Istio was installed anew since"),
    ],
)
async def test_a_pod_whose_sidecar_is_not_up_to_date_is_made_anew(ready: Any, pod: Any, change: Any, why: Any) -> None:
    inside = NAMESPACES["inside"]
    ready.objects["pods"] = [pod("old", inside, app="probe", **change), *ready.objects["pods"][1:]]
    ready.on_watch = lambda resource: ready.add("pods", pod("new", inside, app="probe"))
    probe = Probe(ready)
    await probe.ensure()
    assert ready.deleted == [("pods", inside, "old")]


async def test_without_istio_the_sidecar_goes(ready: Any, pod: Any) -> None:
    ready.objects["deployments.apps"].remove(ISTIOD)
    ready.on_watch = lambda resource: ready.add("pods", pod("new", NAMESPACES["inside"], sidecar=False, app="probe"))
    await Probe(ready).ensure()
    assert ready.deleted == [("pods", NAMESPACES["inside"], "in")]


async def test_measuring_is_one_exec_in_the_right_pod(ready: Any, output: Any) -> None:
    ready.on_exec = lambda *_: ExecResult(0, output(original=3), b"")
    measured = await Probe(ready).measure(REQUEST)
    assert measured.counts == {"original": 3}
    assert ready.execs == [("meshdojo-outside", "out", REQUEST.command(), "probe")]


async def test_a_probe_that_is_gone_is_no_fault_of_the_learner(ready: Any) -> None:
    def gone(*_: Any) -> None:
        raise StatusError(404, "NotFound", 'pods "out" not found')

    ready.on_exec = gone
    with pytest.raises(CannotJudge, match="cannot be used"):
        await Probe(ready).measure(REQUEST)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (ExecResult(2, b"", b"usage: x\nprobe: error: bad\n"), "failed: probe: error: bad"),
        (ExecResult(137, b"", b""), "failed: 137"),
        (ExecResult(0, b"hello", b""), "printed what is no result"),
    ],
)
async def test_a_probe_that_misbehaves_is_named(ready: Any, result: Any, message: Any) -> None:
    ready.on_exec = lambda *_: result
    with pytest.raises(CannotJudge, match=message):
        await Probe(ready).measure(REQUEST)


async def test_a_name_that_does_not_resolve_is_no_measurement(ready: Any) -> None:
    body = (
        b'{"requests":1,"statuses":{},"counts":{},"errors":{"unresolved":1},"examples":{"unresolved":"x"},"seconds":0}'
    )
    ready.on_exec = lambda *_: ExecResult(0, body, b"")
    with pytest.raises(CannotJudge, match="does not resolve"):
        await Probe(ready).measure(REQUEST)


async def test_a_probe_that_never_becomes_ready_ends_in_words(
    ready: Any, pod: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshdojo.checks.probe.READY_SECONDS", 0.05)
    ready.objects["pods"] = [pod("in", NAMESPACES["inside"], ready=False, app="probe"), *ready.objects["pods"][1:]]

    async def never(*_: Any, **__: Any) -> Any:
        import asyncio

        await asyncio.Event().wait()
        yield

    ready.watch = never
    with pytest.raises(CannotJudge, match="meshdojo-probe is not ready"):
        await Probe(ready).ensure()
