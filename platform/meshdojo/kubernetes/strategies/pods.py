"""Pods: the first status, the class of service, graceful deletion."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.strategies.strategy import Strategy

DEFAULT_GRACE_SECONDS = 30
_RESOURCES = ("cpu", "memory")


class PodStrategy(Strategy):
    """Source: pkg/registry/core/pod/strategy.go."""

    def prepare_create(self, obj: Object) -> Object:
        """A new pod is Pending."""
        return {**obj, "status": {"phase": "Pending", "qosClass": quality_of_service(obj)}}

    def prepare_status(self, new: Object, old: Object) -> Object:
        """The class of service never changes."""
        prepared = super().prepare_status(new, old)
        quality = old.get("status", {}).get("qosClass")
        if quality and "status" in prepared:
            prepared = {**prepared, "status": {**prepared["status"], "qosClass": quality}}
        return prepared

    def grace_seconds(self, obj: Object, requested: int | None) -> int | None:
        """The pod's own period unless requested; none for a pod that is not on a node or has ended."""
        if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        period = obj["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
        chosen = int(period if requested is None else requested)
        return 1 if chosen < 0 else chosen


def quality_of_service(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort. Source: pkg/apis/core/v1/helper/qos."""
    containers = [*pod["spec"].get("containers", []), *pod["spec"].get("initContainers", [])]
    resources = [container.get("resources") or {} for container in containers]
    limits = [_set(entry.get("limits")) for entry in resources]
    # A limit without a request is a request of the same size.
    requests = [_set(entry.get("limits")) | _set(entry.get("requests")) for entry in resources]
    if not any(limits) and not any(requests):
        return "BestEffort"
    if all(limit.keys() == set(_RESOURCES) and limit == req for limit, req in zip(limits, requests, strict=True)):
        return "Guaranteed"
    return "Burstable"


def _set(amounts: Object | None) -> dict[str, str]:
    return {name: str(amount) for name, amount in (amounts or {}).items() if name in _RESOURCES and str(amount) != "0"}
