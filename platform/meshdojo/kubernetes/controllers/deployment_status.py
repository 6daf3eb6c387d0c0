"""What a deployment's status says, from the replica sets it has. Pure functions.

Source: ``k8s.io/kubernetes/pkg/controller/deployment/progress.go`` and ``sync.go`` (calculateStatus).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.controllers.rollouts import available, limits, wanted
from meshdojo.kubernetes.timestamps import now, parse

# What the API server fills in; this very number means "no deadline" (util.HasProgressDeadline).
NO_DEADLINE = 2**31 - 1


def condition(status: Object, type: str) -> Object | None:
    """The condition of this type, None for none."""
    return next((found for found in status.get("conditions") or () if found["type"] == type), None)


def with_condition(status: Object, type: str, value: str, reason: str, message: str) -> Object:
    """The status with this condition, unless it says the same already; the transition time follows `value` only."""
    current = condition(status, type)
    if current is not None and (current["status"], current["reason"]) == (value, reason):
        return status
    return _set(status, type, value, reason, message)


def without_condition(status: Object, type: str) -> Object:
    """A copy of the status without the conditions of this type."""
    others = [one for one in status.get("conditions") or () if one["type"] != type]
    return {**{name: field for name, field in status.items() if name != "conditions"}, "conditions": others}


def counted(deployment: Object, newest: Object | None, sets: Sequence[Object]) -> Object:
    """The counts, the observed generation and the condition Available; other conditions as they were."""
    before = deployment.get("status") or {}
    total = sum(map(wanted, sets))
    ready = sum(map(available, sets))
    counts = {
        "availableReplicas": ready,
        "readyReplicas": sum(_count(one, "readyReplicas") for one in sets),
        "replicas": sum(_count(one, "replicas") for one in sets),
        "unavailableReplicas": max(0, total - ready),
        "updatedReplicas": _count(newest, "replicas") if newest else 0,
    }
    status: dict[str, Any] = {name: count for name, count in counts.items() if count}
    status["observedGeneration"] = deployment["metadata"]["generation"]
    if before.get("collisionCount"):
        status["collisionCount"] = before["collisionCount"]
    status["conditions"] = list(before.get("conditions") or ())
    if ready >= wanted(deployment) - limits(deployment).unavailable:
        words = "MinimumReplicasAvailable", "Deployment has minimum availability."
        return with_condition(status, "Available", "True", *words)
    words = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return with_condition(status, "Available", "False", *words)


def progressed(deployment: Object, newest: Object | None, sets: Sequence[Object]) -> Object:
    """`counted`, and the condition Progressing: complete, progressing or over its deadline."""
    before = deployment.get("status") or {}
    status = counted(deployment, newest, sets)
    status = _replica_failure(status, newest, sets)
    if not has_deadline(deployment):
        return without_condition(status, "Progressing")
    current = condition(before, "Progressing")
    settled = current is not None and current["reason"] == "NewReplicaSetAvailable"
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return status
    name = f'ReplicaSet "{newest["metadata"]["name"]}"' if newest else f'Deployment "{deployment["metadata"]["name"]}"'
    if is_complete(deployment, status):
        words = "NewReplicaSetAvailable", f"{name} has successfully progressed."
        return with_condition(status, "Progressing", "True", *words)
    if _moved(before, status):
        return _set(status, "Progressing", "True", "ReplicaSetUpdated", f"{name} is progressing.")
    if (left := seconds_to_deadline(deployment)) is not None and left <= 0:
        words = "ProgressDeadlineExceeded", f"{name} has timed out progressing."
        return with_condition(status, "Progressing", "False", *words)
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    """Every wanted pod is of the newest template, available, and none of the old ones is left."""
    counts = {status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")}
    return counts == {wanted(deployment)} and status["observedGeneration"] >= deployment["metadata"]["generation"]


def has_deadline(deployment: Object) -> bool:
    """Whether its progress is timed. Source: HasProgressDeadline in pkg/controller/deployment/util."""
    return bool(deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE)


def seconds_to_deadline(deployment: Object) -> float | None:
    """Until a rollout that makes no progress is over its deadline; None if there is none, or nothing to wait for."""
    current = condition(deployment.get("status") or {}, "Progressing")
    if not has_deadline(deployment) or deployment["spec"].get("paused") or current is None:
        return None
    if current["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    passed = (datetime.now(UTC) - parse(current["lastUpdateTime"])).total_seconds()
    return float(deployment["spec"]["progressDeadlineSeconds"]) - passed


def _replica_failure(status: Object, newest: Object | None, sets: Sequence[Object]) -> Object:
    """The newest replica set's ReplicaFailure condition (else any other's), as the deployment's own."""
    for one in ([newest] if newest else []) or sets:
        failure = condition(one.get("status") or {}, "ReplicaFailure")
        if failure is not None:
            words = failure["status"], failure["reason"], failure["message"]
            return with_condition(status, "ReplicaFailure", *words)
    return without_condition(status, "ReplicaFailure")


def _moved(before: Object, status: Object) -> bool:
    def old(one: Object) -> int:
        return int(one.get("replicas", 0) - one.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(status) < old(before) or any(status.get(name, 0) > before.get(name, 0) for name in grown)


def _set(status: Object, type: str, value: str, reason: str, message: str) -> Object:
    current = condition(status, type)
    since = current["lastTransitionTime"] if current is not None and current["status"] == value else now()
    new = {
        "type": type,
        "status": value,
        "lastUpdateTime": now(),
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    others = [one for one in status.get("conditions") or () if one["type"] != type]
    return {**status, "conditions": [*others, new]}


def _count(replica_set: Object, name: str) -> int:
    return int((replica_set.get("status") or {}).get(name, 0))
