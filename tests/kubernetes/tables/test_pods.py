"""READY, STATUS and RESTARTS, as the real printer computes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.tables import to_table
from meshdojo.kubernetes.tables.pods import pod_status

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RUNNING = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, **({"reason": reason} if reason else {}), **more}}


def status(name: str, state: dict[str, Any], *, ready: bool = False, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, "restartCount": restarts, **more}


def pod(
    *containers: dict[str, Any],
    inits: tuple[dict[str, Any], ...] = (),
    sidecars: tuple[str, ...] = (),
    deleted: bool = False,
    **more: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "web", "creationTimestamp": "2026-01-01T11:57:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    init_specs = [{"name": s["name"], **({"restartPolicy": "Always"} if s["name"] in sidecars else {})} for s in inits]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": s["name"]} for s in containers], "initContainers": init_specs},
        "status": {
            "phase": "Running",
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
            **more,
        },
    }


READY: dict[str, Any] = {"conditions": [{"type": "Ready", "status": "True"}]}
PENDING: dict[str, Any] = {"phase": "Pending"}
DONE = status("i", ended(0, "Completed"))
CREATING = status("a", waiting("PodInitializing"))
SIDECAR = status("p", RUNNING, ready=True, started=True)


@pytest.mark.parametrize(
    ("given", "ready", "shown"),
    [
        (pod(status("a", RUNNING, ready=True)), "1/1", "Running"),
        (pod(status("a", RUNNING)), "0/1", "Running"),
        (pod(status("a", waiting("ContainerCreating")), **PENDING), "0/1", "ContainerCreating"),
        (pod(status("a", waiting("ImagePullBackOff")), **PENDING), "0/1", "ImagePullBackOff"),
        (pod(status("a", waiting("CrashLoopBackOff"), restarts=3)), "0/1", "CrashLoopBackOff"),
        (pod(status("a", ended(0, "Completed")), phase="Succeeded"), "0/1", "Completed"),
        (pod(status("a", ended(1, "Error")), phase="Failed"), "0/1", "Error"),
        (pod(status("a", ended(0))), "0/1", "ExitCode:0"),
        (pod(status("a", ended(137, signal=9))), "0/1", "Signal:9"),
        (pod(status("a", RUNNING, ready=True), deleted=True), "1/1", "Terminating"),
        (pod(status("a", ended(0, "Completed")), deleted=True, phase="Succeeded"), "0/1", "Completed"),
        (pod(status("a", RUNNING, ready=True), deleted=True, reason="NodeLost"), "1/1", "Unknown"),
        (pod(CREATING, inits=(status("i", RUNNING),), **PENDING), "0/1", "Init:0/1"),
        (pod(CREATING, inits=(DONE, status("j", RUNNING)), **PENDING), "0/1", "Init:1/2"),
        (pod(CREATING, inits=(status("i", waiting("PodInitializing")),), **PENDING), "0/1", "Init:0/1"),
        (pod(CREATING, inits=(status("i", ended(1, "Error")),), **PENDING), "0/1", "Init:Error"),
        (pod(CREATING, inits=(status("i", ended(3)),), **PENDING), "0/1", "Init:ExitCode:3"),
        (pod(CREATING, inits=(status("i", waiting("CrashLoopBackOff")),), **PENDING), "0/1", "Init:CrashLoopBackOff"),
        (pod(CREATING, inits=(DONE,), **PENDING), "0/1", "PodInitializing"),
        # Native sidecars count among the containers.
        (pod(status("a", RUNNING, ready=True), inits=(DONE, SIDECAR), sidecars=("p",)), "2/2", "Running"),
        (pod(CREATING, inits=(SIDECAR,), sidecars=("p",), **PENDING), "1/2", "PodInitializing"),
        (pod(CREATING, inits=(status("p", RUNNING),), sidecars=("p",), **PENDING), "0/2", "Init:0/1"),
        (
            pod(status("a", ended(0, "Completed")), status("b", RUNNING, ready=True), **READY),
            "1/2",
            "Running",
        ),
        (pod(status("a", ended(0, "Completed")), status("b", RUNNING, ready=True)), "1/2", "NotReady"),
        (
            pod(**PENDING, conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "0/0",
            "SchedulingGated",
        ),
        (pod(**PENDING), "0/0", "Pending"),
        (pod(phase="Failed", reason="Evicted"), "0/0", "Evicted"),
    ],
)
def test_ready_and_status(given: dict[str, Any], ready: str, shown: str) -> None:
    assert pod_status(given) == shown
    assert cells(given)[1:3] == [ready, shown]


def cells(given: dict[str, Any]) -> list[Any]:
    pods = Catalogue.builtin().by_name("pods")
    assert pods is not None
    [row] = to_table(pods, [given], now=NOW)["rows"]
    found: list[Any] = row["cells"]
    return found


def test_restarts_say_when_the_last_was() -> None:
    last = {"lastState": ended(1, "Error", finishedAt="2026-01-01T11:59:55Z")}
    assert cells(pod(status("a", RUNNING, ready=True, restarts=1, **last)))[3] == "1 (5s ago)"
    assert cells(pod(status("a", RUNNING, ready=True)))[3] == "0"


def test_after_the_start_only_sidecars_and_containers_count_as_restarts() -> None:
    inits = (status("i", ended(0, "Completed"), restarts=4), {**SIDECAR, "restartCount": 2})
    assert cells(pod(status("a", RUNNING, ready=True, restarts=1), inits=inits, sidecars=("p",)))[3] == "3"
    assert cells(pod(CREATING, inits=(status("i", RUNNING, restarts=4),), **PENDING))[3] == "4"


def test_wide_columns() -> None:
    given = pod(status("a", RUNNING, ready=True), podIP="127.64.1.2")
    assert cells(given)[4:] == ["3m", "127.64.1.2", "<none>", "<none>", "<none>"]
    given["spec"] |= {"nodeName": "n", "readinessGates": [{"conditionType": "x"}]}
    given["status"]["conditions"] = [{"type": "x", "status": "True"}]
    assert cells(given)[5:] == ["127.64.1.2", "n", "<none>", "1/1"]


@pytest.mark.parametrize(
    ("phase", "message"),
    [("Succeeded", "The pod has completed successfully."), ("Failed", "The pod failed.")],
)
def test_rows_of_finished_pods_say_so(phase: str, message: str) -> None:
    pods = Catalogue.builtin().by_name("pods")
    assert pods is not None
    [row] = to_table(pods, [pod(phase=phase)], now=NOW)["rows"]
    assert row["conditions"] == [{"type": "Completed", "status": "True", "reason": phase, "message": message}]
