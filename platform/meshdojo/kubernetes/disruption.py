"""Disruption budgets: which pods they are about, and which of those count as healthy. Pure."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.selectors import LabelSelector


def selects(budget: Object, pod: Object) -> bool:
    """Whether a budget is about this pod."""
    selector = (budget.get("spec") or {}).get("selector")
    same = budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and selector is not None and LabelSelector.from_object(selector).matches(pod)


def healthy_pod(pod: Object) -> bool:
    """Ready, and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not going(pod) and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def going(pod: Object) -> bool:
    """Being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))
