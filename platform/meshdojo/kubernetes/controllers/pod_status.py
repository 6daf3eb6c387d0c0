"""What a pod's status means to the controllers.

Source: ``k8s.io/kubernetes/pkg/api/v1/pod/util.go`` and ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.timestamps import parse

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def is_terminal(pod: Object) -> bool:
    """It has ended (Succeeded or Failed) and will not run again."""
    return _phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """It counts as a replica: neither ended nor being deleted."""
    return not is_terminal(pod) and not pod["metadata"].get("deletionTimestamp")


def condition(pod: Object, type: str) -> Object | None:
    """The pod's condition of that type."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found["type"] == type), None)


def is_ready(pod: Object) -> bool:
    """Its Ready condition is true."""
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def seconds_until_available(pod: Object, min_ready_seconds: int) -> float | None:
    """0 or less for an available pod; how long it must stay ready still; None if it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds:
        return 0.0
    return min_ready_seconds - (datetime.now(UTC) - parse(ready["lastTransitionTime"])).total_seconds()


def deletion_rank(pod: Object) -> tuple[Any, ...]:
    """Sort key: the pods to delete first when there are too many come first (ActivePodsWithRanks)."""
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    ready = condition(pod, "Ready") if is_ready(pod) else None
    return (
        bool((pod.get("spec") or {}).get("nodeName")),
        phases.get(_phase(pod), 0),
        ready is not None,
        _deletion_cost(pod),
        _newest_first(ready["lastTransitionTime"]) if ready else 0.0,
        -_restarts(pod),
        _newest_first(pod["metadata"]["creationTimestamp"]),
    )


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _deletion_cost(pod: Object) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(status.get("restartCount", 0)) for status in statuses), default=0)


def _newest_first(time: str) -> float:
    return -parse(time).timestamp()
