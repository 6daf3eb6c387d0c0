"""Taints keep pods away from a node; those with the effect NoExecute drive away what runs there, too.

Source: pkg/controller/tainteviction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.controllers.controller import Cluster, Controller
from meshdojo.kubernetes.timestamps import now

_NODE = "taint-evicted-pods-by-node"
_FOR_EVER = float("inf")


class TaintEviction(Controller):
    """Deletes the pods that do not tolerate their node's taints, at once or when their toleration's time is over."""

    name = "taint-eviction-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.nodes = self.follow("nodes", self._pods_on)
        self.pods = self.follow("pods", _assigned)
        self.pods.add_index(_NODE, lambda pod: filter(None, [pod["spec"].get("nodeName")]))
        # When a pod that tolerates a taint for a while has to go, in the event loop's time.
        self._due: dict[Key, tuple[str, float]] = {}

    def _pods_on(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is None or (old or {}).get("spec", {}).get("taints") == new["spec"].get("taints"):
            return []
        return [key_of(pod) for pod in self.pods.indexed(_NODE, new["metadata"]["name"])]

    async def reconcile(self, key: Key) -> None:
        pod = self.pods.get(*key)
        node = self.nodes.get("", pod["spec"].get("nodeName", "")) if pod is not None else None
        if pod is None or node is None or "deletionTimestamp" in pod["metadata"]:
            self._due.pop(key, None)
            return
        taints = [taint for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"]
        left = self._left(key, pod, tolerated_seconds(pod["spec"].get("tolerations") or (), taints))
        if left == _FOR_EVER:
            return
        if left > 0:
            self.queue.add_after(key, left)
            return
        self.recorder.normal(pod, "TaintManagerEviction", f"Marking for deletion Pod {'/'.join(key)}")
        await self._evict(pod)

    def _left(self, key: Key, pod: Object, seconds: float) -> float:
        """For how many seconds the pod may stay from now on, when it may `seconds` in all."""
        uid = pod["metadata"]["uid"]
        if seconds == _FOR_EVER:
            if self._due.pop(key, ("", 0.0))[0] == uid:
                self.recorder.normal(pod, "TaintManagerEviction", f"Cancelling deletion of Pod {'/'.join(key)}")
            return seconds
        at = asyncio.get_running_loop().time()
        known, due = self._due.get(key, ("", 0.0))
        if known != uid:
            due = at + seconds
            self._due[key] = (uid, due)
        return due - at

    async def _evict(self, pod: Object) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        message = "Taint manager: deleting due to NoExecute taint"
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": message,
            "lastTransitionTime": now(),
        }
        status = {"status": {"conditions": [condition]}}
        try:
            await self.client.patch("pods", name, status, namespace, type="strategic", subresource="status")
            await self.client.delete("pods", name, namespace, uid=pod["metadata"]["uid"])
        except StatusError as error:
            if error.code not in (404, 409):
                raise


def _assigned(old: Object | None, new: Object | None) -> Iterable[Key]:
    pod = new or old
    return [key_of(pod)] if pod is not None and pod["spec"].get("nodeName") else []


def tolerated_seconds(tolerations: Sequence[Object], taints: Iterable[Object]) -> float:
    """For how long the tolerations bear all the taints: 0 when they do not, infinity when for ever."""
    shortest = _FOR_EVER
    for taint in taints:
        found = next((one for one in tolerations if tolerates(one, taint)), None)
        if found is None:
            return 0.0
        seconds = found.get("tolerationSeconds")
        if seconds is not None:
            shortest = min(shortest, max(seconds, 0))
    return shortest


def untolerated(spec: Object, node: Object) -> Object | None:
    """The first taint of the node that keeps a pod of this spec away."""
    taints = [taint for taint in node["spec"].get("taints") or () if taint["effect"] in ("NoSchedule", "NoExecute")]
    tolerations = spec.get("tolerations") or ()
    return next((taint for taint in taints if not any(tolerates(one, taint) for one in tolerations)), None)


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration is for this taint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same = (taint["key"], taint.get("value", ""))
    return (toleration.get("key"), toleration.get("value", "")) == same
