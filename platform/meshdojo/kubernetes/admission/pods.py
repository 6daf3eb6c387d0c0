"""Priority and DefaultTolerationSeconds: what every pod of a real cluster ends up with."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes

TOLERATION_SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
# Source: pkg/apis/scheduling; the only priority classes of a cluster that has none of its own.
_PRIORITIES = {"": 0, "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class PodDefaults:
    """Sources: plugin/pkg/admission/priority and plugin/pkg/admission/defaulttolerationseconds."""

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Fill in priority, preemptionPolicy and the two tolerations. Raises StatusError 403: no such class."""
        pod = attributes.obj
        if pod is None or attributes.resource.storage != "pods" or attributes.subresource:
            return pod
        if attributes.operation != "CREATE":
            return pod
        spec = pod["spec"]
        name = spec.get("priorityClassName", "")
        if name not in _PRIORITIES:
            words = f"no PriorityClass with name {name} was found"
            raise errors.forbidden(attributes.resource, attributes.name, words)
        added = {"priority": _PRIORITIES[name], "preemptionPolicy": "PreemptLowerPriority"}
        return {**pod, "spec": {**added, **spec, "tolerations": _tolerations(spec.get("tolerations") or [])}}

    async def validate(self, attributes: Attributes) -> None:
        """Nothing to refuse."""


def _tolerations(given: list[Any]) -> list[Any]:
    return given + [_toleration(taint) for taint in _TAINTS if not any(_tolerates(entry, taint) for entry in given)]


def _tolerates(toleration: Object, taint: str) -> bool:
    return (toleration.get("key", taint), toleration.get("effect", "NoExecute")) == (taint, "NoExecute")


def _toleration(taint: str) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
