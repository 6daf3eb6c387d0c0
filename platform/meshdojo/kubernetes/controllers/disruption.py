"""The status of disruption budgets: how many of their pods may be evicted now.

Source: pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.disruption import going, healthy_pod, selects
from meshdojo.kubernetes.timestamps import now, parse

ALLOWED = "DisruptionAllowed"
# How long an evicted pod counts as gone before its deletion has been seen.
_DISRUPTED_SECONDS = 120.0
_SCALES = ("replicasets.apps", "statefulsets.apps")


class DisruptionController(Controller):
    """Keeps the status of every budget."""

    name = "controllermanager"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.budgets = self.follow("poddisruptionbudgets.policy", itself)
        self.pods = self.follow("pods", self._budgets_of)
        self._owners = [self.follow(resource, self._all_in_namespace) for resource in _SCALES]

    def _budgets_of(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        pods = [pod for pod in (old, new) if pod is not None]
        return [
            (budget["metadata"]["namespace"], budget["metadata"]["name"])
            for budget in self.budgets.items()
            if any(selects(budget, pod) for pod in pods)
        ]

    def _all_in_namespace(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        namespace = (new or old or {})["metadata"]["namespace"]
        budgets = [budget["metadata"] for budget in self.budgets.items()]
        return [(namespace, one["name"]) for one in budgets if one["namespace"] == namespace]

    async def reconcile(self, key: Key) -> None:
        budget = self.budgets.get(*key)
        if budget is None:
            return
        pods = [pod for pod in self.pods.items() if selects(budget, pod)]
        if not pods:
            self.recorder.normal(budget, "NoPods", "No matching pods found")
        await self.write_status(self.budgets, budget, self._status(budget, pods))

    def _status(self, budget: Object, pods: list[Object]) -> Object:
        expected, desired = self._wanted(budget["spec"], pods)
        before = budget.get("status") or {}
        disrupted = {
            name: since
            for name, since in (before.get("disruptedPods") or {}).items()
            if _recent(since) and any(pod["metadata"]["name"] == name and not going(pod) for pod in pods)
        }
        healthy = sum(1 for pod in pods if healthy_pod(pod) and pod["metadata"]["name"] not in disrupted)
        allowed = max(0, healthy - desired) if expected > 0 else 0
        status: Object = {
            "observedGeneration": budget["metadata"].get("generation", 1),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": [_condition(before, allowed, budget)],
        }
        return {**status, "disruptedPods": disrupted} if disrupted else status

    def _wanted(self, spec: Object, pods: list[Object]) -> tuple[int, int]:
        """(how many pods there should be, how many of them must be healthy)."""
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if isinstance(least, int):
            return len(pods), least
        expected = self._scale(pods)
        if least is not None:
            return expected, _share(least, expected)
        unavailable = most if isinstance(most, int) else _share(most or "0%", expected)
        return expected, max(0, expected - unavailable)

    def _scale(self, pods: list[Object]) -> int:
        """The replicas of the workloads that the pods belong to; a pod without one counts as one."""
        owners: dict[str, int] = {}
        for pod in pods:
            uid = next(
                (one["uid"] for one in pod["metadata"].get("ownerReferences") or () if one.get("controller")), ""
            )
            owners[uid or pod["metadata"]["uid"]] = self._replicas(uid) if uid else 1
        return sum(owners.values())

    def _replicas(self, uid: str) -> int:
        for informer in self._owners:
            for owner in informer.items():
                if owner["metadata"]["uid"] == uid:
                    return int(owner["spec"].get("replicas", 1))
        return 1


def _recent(since: str) -> bool:
    return (datetime.now(UTC) - parse(since)).total_seconds() < _DISRUPTED_SECONDS


def _share(percentage: str, whole: int) -> int:
    return ceil(int(str(percentage).rstrip("%")) * whole / 100)


def _condition(before: Object, allowed: int, budget: Object) -> Object:
    status = "True" if allowed else "False"
    old = next((one for one in before.get("conditions") or () if one["type"] == ALLOWED), None)
    changed = old["lastTransitionTime"] if old is not None and old["status"] == status else now()
    return {
        "type": ALLOWED,
        "status": status,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "lastTransitionTime": changed,
        "observedGeneration": budget["metadata"].get("generation", 1),
    }
