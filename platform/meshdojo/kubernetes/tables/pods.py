"""The table of pods: what READY, STATUS and RESTARTS say.

Source: printPod of Kubernetes 1.34 (pkg/printers/internalversion), checked against a real cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.tables.ages import age, parse_time
from meshdojo.kubernetes.tables.columns import NONE, Printer, columns, created, name_of

_COLUMNS = columns("Name, Ready, Status, Restarts, Age", wide="IP, Node, Nominated Node, Readiness Gates")
_FINISHED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


@dataclass
class _Summary:
    """What the cells are computed from; `last_restart` is the latest end of a container that was restarted."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count(self, status: Object) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, finished)


def pod_status(pod: Object) -> str:
    """The STATUS column: Running, Completed, Init:0/1, CrashLoopBackOff, Terminating, ..."""
    return _summary(pod).reason


def _cells(pod: Object, now: datetime) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = _summary(pod)
    sidecars = sum(c.get("restartPolicy") == "Always" for c in spec.get("initContainers") or ())
    total = len(spec.get("containers") or ()) + sidecars
    address = (status.get("podIPs") or [{}])[0].get("ip") or status.get("podIP") or NONE
    return [
        name_of(pod),
        f"{summary.ready}/{total}",
        summary.reason,
        _restarts(summary, now),
        age(created(pod), now),
        address,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def _restarts(summary: _Summary, now: datetime) -> str:
    if summary.restarts and parse_time(summary.last_restart):
        return f"{summary.restarts} ({age(summary.last_restart, now)} ago)"
    return str(summary.restarts)


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return NONE
    met = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    return f"{sum(gate['conditionType'] in met for gate in gates)}/{len(gates)}"


def _summary(pod: Object) -> _Summary:
    status = pod.get("status") or {}
    summary = _Summary(status.get("reason") or status.get("phase") or "")
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    initializing, sidecars = _init_containers(pod, summary)
    if not initializing or _condition(status, "Initialized").get("status") == "True":
        # From here on only the restarts of sidecars and containers count.
        summary.restarts, summary.last_restart = sidecars.restarts, sidecars.last_restart
        _containers(status, summary)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif status.get("phase") not in _FINISHED:
            summary.reason = "Terminating"
    return summary


def _init_containers(pod: Object, summary: _Summary) -> tuple[bool, _Summary]:
    """(whether an init container still runs or failed, the restarts of the sidecars)."""
    specs = {c["name"]: c for c in (pod.get("spec") or {}).get("initContainers") or ()}
    sidecars = _Summary("")
    for index, status in enumerate((pod.get("status") or {}).get("initContainerStatuses") or ()):
        summary.count(status)
        sidecar = (specs.get(status["name"]) or {}).get("restartPolicy") == "Always"
        if sidecar:
            sidecars.count(status)
        reason = _init_reason(status, sidecar, f"{index}/{len(specs)}")
        if reason:
            summary.reason = f"Init:{reason}"
            return True, sidecars
        state = status.get("state") or {}
        if sidecar and status.get("started") and status.get("ready") and not _succeeded(state):
            summary.ready += 1
    return False, sidecars


def _succeeded(state: Object) -> bool:
    return (state.get("terminated") or {}).get("exitCode") == 0


def _init_reason(status: Object, sidecar: bool, progress: str) -> str:
    """Why this init container holds up the pod; '' when it does not."""
    state = status.get("state") or {}
    if _succeeded(state) or (sidecar and status.get("started")):
        return ""
    if state.get("terminated") is not None:
        return _terminated(state["terminated"])
    waiting = (state.get("waiting") or {}).get("reason") or ""
    return waiting if waiting not in ("", "PodInitializing") else progress


def _terminated(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _containers(status: Object, summary: _Summary) -> None:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        summary.count(container)
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            summary.reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            summary.reason = _terminated(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        summary.reason = "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"


def _condition(status: Object, kind: str) -> Object:
    found: Object = next((c for c in status.get("conditions") or () if c.get("type") == kind), {})
    return found


def _conditions(pod: Object) -> list[Object]:
    phase = (pod.get("status") or {}).get("phase")
    if phase not in _FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _FINISHED[phase]}]


PODS = Printer(_COLUMNS, _cells, _conditions)
