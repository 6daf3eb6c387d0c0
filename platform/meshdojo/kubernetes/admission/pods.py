"""Priority and DefaultTolerationSeconds: what every pod of a real cluster ends up with."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.store import Store

TOLERATION_SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
RUNTIME_CLASSES = "runtimeclasses.node.k8s.io"


class PodDefaults:
    """Sources: plugin/pkg/admission: priority, runtimeclass and defaulttolerationseconds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Fill in priority, preemptionPolicy and the two tolerations. Raises StatusError 403: no such class."""
        pod = attributes.obj
        if pod is None or attributes.resource.storage != "pods" or attributes.subresource:
            return pod
        if attributes.operation != "CREATE":
            return pod
        spec = pod["spec"]
        added = self._priority(attributes, spec.get("priorityClassName", ""))
        if spec.get("priority") not in (None, added["priority"]):
            words = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
                f"admission controller computed {added['priority']} from the given PriorityClass name"
            )
            raise errors.forbidden(attributes.resource, attributes.name, words)
        runtime = spec.get("runtimeClassName")
        if runtime and self._store.get(RUNTIME_CLASSES, "", runtime) is None:
            words = f'pod rejected: RuntimeClass "{runtime}" not found'
            raise errors.forbidden(attributes.resource, attributes.name, words)
        return {**pod, "spec": {**added, **spec, "tolerations": _tolerations(spec.get("tolerations") or [])}}

    def _priority(self, attributes: Attributes, name: str) -> Object:
        """What the class of this name gives a pod; without a name the class that is for all, if there is one."""
        found = self._store.get(PRIORITY_CLASSES, "", name) if name else self._default_class()
        if found is None and name:
            words = f"no PriorityClass with name {name} was found"
            raise errors.forbidden(attributes.resource, attributes.name, words)
        if found is None:
            return {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
        policy = found.get("preemptionPolicy", "PreemptLowerPriority")
        named = {"priorityClassName": found["metadata"]["name"]}
        return {**named, "priority": found.get("value", 0), "preemptionPolicy": policy}

    def _default_class(self) -> Object | None:
        """The class with globalDefault; of several the one of the lowest value."""
        marked = [found for found in self._store.list(PRIORITY_CLASSES) if found.get("globalDefault")]
        return min(marked, key=lambda found: int(found.get("value", 0)), default=None)

    async def validate(self, attributes: Attributes) -> None:
        """Nothing to refuse."""


def _tolerations(given: list[Any]) -> list[Any]:
    return given + [_toleration(taint) for taint in _TAINTS if not any(_tolerates(entry, taint) for entry in given)]


def _tolerates(toleration: Object, taint: str) -> bool:
    return (toleration.get("key", taint), toleration.get("effect", "NoExecute")) == (taint, "NoExecute")


def _toleration(taint: str) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
