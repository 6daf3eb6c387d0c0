"""ReplicaSets: keep as many pods of a template as `spec.replicas` says.

Source: ``k8s.io/kubernetes/pkg/controller/replicaset/replica_set.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.controllers import owners, pod_status
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.controllers.pod_control import BURST, PodControl
from meshdojo.kubernetes.selectors import LabelSelector
from meshdojo.kubernetes.timestamps import now

# Creations that fail all fail for the same reason mostly, so the first ones are tried in small batches.
FIRST_BATCH = 1
# The pods of a batch are made in one turn of the event loop, which everybody else waits for.
LARGEST_BATCH = 8


class ReplicaSetController(Controller):
    """Creates and deletes pods, and counts them."""

    name = "replicaset-controller"
    resource: ClassVar[str] = "replicasets.apps"
    kind: ClassVar[str] = "ReplicaSet"
    workers = 4  # an admission webhook that hangs must not hold up every other replica set

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.follow(self.resource, itself)
        self.pods = self.follow("pods", self._owners_of_pod)
        owners.index(self.pods)
        self.control = PodControl(self.client, self.pods, self.recorder)

    def selector_of(self, replica_set: Object) -> LabelSelector:
        """Which pods are of this set."""
        return LabelSelector.from_object(replica_set["spec"]["selector"])

    async def reconcile(self, key: Key) -> None:
        replica_set = self.sets.get(*key)
        if replica_set is None:
            return
        selector = self.selector_of(replica_set)
        pods = await owners.claim(self.client, replica_set, self.pods, selector, pod_status.is_active)
        failure: StatusError | None = None
        if not replica_set["metadata"].get("deletionTimestamp"):
            failure = await self._scale(replica_set, pods)
        await self._count(key, replica_set, selector, failure)
        if failure is not None:
            raise failure

    def _owners_of_pod(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        keys: dict[Key, None] = {}
        for pod in (old, new):
            owner = owners.controller_of(pod) if pod else None
            if pod and owner and owner["kind"] == self.kind:
                keys[pod["metadata"]["namespace"], owner["name"]] = None
        if new and owners.controller_of(new) is None:
            keys.update((key_of(one), None) for one in self._matching(new))
        return keys

    def _matching(self, pod: Object) -> Iterable[Object]:
        for replica_set in self.sets.items(pod["metadata"]["namespace"]):
            if self.selector_of(replica_set).matches(pod):
                yield replica_set

    async def _scale(self, replica_set: Object, pods: list[Object]) -> StatusError | None:
        """Create or delete pods; the API's refusal if it refused."""
        excess = len(pods) - replica_set["spec"].get("replicas", 1)
        if abs(excess) > BURST:
            self.queue.add(key_of(replica_set))
        if excess < 0:
            return await self._create(replica_set, min(-excess, BURST))
        if excess > 0:
            for pod in sorted(pods, key=pod_status.deletion_rank)[: min(excess, BURST)]:
                await self.control.delete(replica_set, pod)
                await asyncio.sleep(0)
        return None

    async def _create(self, replica_set: Object, count: int) -> StatusError | None:
        batch = FIRST_BATCH
        while count > 0:
            batch = min(batch, count)
            results = await asyncio.gather(*(self.control.create(replica_set) for _ in range(batch)))
            for refusal in results:
                if refusal is not None:
                    return refusal
            count -= batch
            batch = min(2 * batch, LARGEST_BATCH)
            await asyncio.sleep(0)
        return None

    async def _count(self, key: Key, replica_set: Object, selector: LabelSelector, failure: StatusError | None) -> None:
        mine = self.pods.indexed(owners.BY_OWNER, replica_set["metadata"]["uid"])
        pods = [pod for pod in mine if pod_status.is_active(pod) and selector.matches(pod)]
        wait = replica_set["spec"].get("minReadySeconds", 0)
        waits = [seconds for pod in pods if (seconds := pod_status.seconds_until_available(pod, wait)) is not None]
        status = _status(replica_set, pods, waits)
        conditions = _conditions(replica_set, failure)
        await self.write_status(
            self.sets, replica_set, {**status, **({"conditions": conditions} if conditions else {})}
        )
        if pending := [seconds for seconds in waits if seconds > 0]:
            self.queue.add_after(key, min(pending) + 0.01)


class ReplicationControllerController(ReplicaSetController):
    """The same for their predecessors, whose selector is a map of labels, as the real one does it, too."""

    name = "replication-controller"
    resource = "replicationcontrollers"
    kind = "ReplicationController"

    def selector_of(self, replica_set: Object) -> LabelSelector:
        """Which pods are of this controller."""
        return LabelSelector.from_object({"matchLabels": replica_set["spec"]["selector"]})


def _status(replica_set: Object, pods: list[Object], waits: list[float]) -> Object:
    labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
    counts = {
        "fullyLabeledReplicas": sum((pod["metadata"].get("labels") or {}).items() >= labels.items() for pod in pods),
        "readyReplicas": len(waits),
        "availableReplicas": sum(seconds <= 0 for seconds in waits),
    }
    status: dict[str, Any] = {name: count for name, count in counts.items() if count}
    status["observedGeneration"] = replica_set["metadata"]["generation"]
    status["replicas"] = len(pods)
    return status


def _conditions(replica_set: Object, failure: StatusError | None) -> list[Object]:
    before = (replica_set.get("status") or {}).get("conditions") or []
    others = [condition for condition in before if condition["type"] != "ReplicaFailure"]
    if failure is None:
        return others
    known = next((condition for condition in before if condition["type"] == "ReplicaFailure"), None)
    if known is not None and known["message"] == failure.message:
        return before
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": failure.message,
        "lastTransitionTime": now(),
    }
    return [*others, condition]
