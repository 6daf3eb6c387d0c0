"""DaemonSets: one pod on every node that takes it.

Source: ``k8s.io/kubernetes/pkg/controller/daemon``. Not here: maxSurge (an update always stops the old pod first).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.controllers import owners, pod_status
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.controllers.controller_revisions import HASH_LABEL, RESOURCE, History
from meshdojo.kubernetes.controllers.pod_control import PodControl, pod_from_template
from meshdojo.kubernetes.controllers.scheduler import runs_on
from meshdojo.kubernetes.selectors import LabelSelector

_TAINTS = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


class DaemonSetController(Controller):
    """Creates a pod for each node, and replaces those of an old template."""

    name = "daemonset-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.follow("daemonsets.apps", itself)
        self.nodes = self.follow("nodes", lambda old, new: map(key_of, self.informers.of("daemonsets.apps").items()))
        self.pods = self.follow("pods", _set_of)
        self.revisions = self.informers.of(RESOURCE)
        owners.index(self.pods)
        owners.index(self.revisions)
        self.control = PodControl(self.client, self.pods, self.recorder)
        self.history = History(self.client, self.revisions)

    async def reconcile(self, key: Key) -> None:
        daemon_set = self.sets.get(*key)
        if daemon_set is None or daemon_set["metadata"].get("deletionTimestamp"):
            return
        revision = (await self.history.current(daemon_set))["metadata"]["labels"][HASH_LABEL]
        selector = LabelSelector.from_object(daemon_set["spec"]["selector"])
        await owners.claim(self.client, daemon_set, self.pods, selector, pod_status.is_active)
        failure = await self._place(daemon_set, revision)
        await self._update(daemon_set, revision)
        await self.write_status(self.sets, daemon_set, self._status(key, daemon_set, revision))
        kept = {f"{key[1]}-{pod['metadata']['labels'].get(HASH_LABEL)}" for pod in self._pods(daemon_set)}
        await self.history.forget(daemon_set, {*kept, f"{key[1]}-{revision}"})
        if failure is not None:
            raise failure

    def _pods(self, daemon_set: Object) -> list[Object]:
        """All that exist still, also those that stop."""
        return self.pods.indexed(owners.BY_OWNER, daemon_set["metadata"]["uid"])

    async def _place(self, daemon_set: Object, revision: str) -> StatusError | None:
        """One pod on each node that should have one, none elsewhere."""
        there: dict[str, list[Object]] = {}
        for pod in self._pods(daemon_set):
            there.setdefault(_node_of(pod), []).append(pod)
        for node in self.nodes.items():
            pods = there.pop(node["metadata"]["name"], [])
            wanted = 1 if runs_on(_pod(daemon_set, revision, node), node) else 0
            for pod in pods:
                if pod_status.is_terminal(pod):
                    await self.control.delete(daemon_set, pod)
            for pod in sorted(filter(pod_status.is_active, pods), key=pod_status.deletion_rank)[wanted:]:
                await self.control.delete(daemon_set, pod)
            if wanted and not pods:
                failure = await self.control.create(daemon_set, _pod(daemon_set, revision, node))
                if failure is not None:
                    return failure
        return None

    async def _update(self, daemon_set: Object, revision: str) -> None:
        """Stop pods of an old template, no more at once than may be unavailable."""
        strategy = daemon_set["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        pods = self._pods(daemon_set)
        allowed = max(1, _pods_of((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), len(pods)))
        room = allowed - sum(not (pod_status.is_active(pod) and pod_status.is_ready(pod)) for pod in pods)
        for pod in filter(pod_status.is_active, pods):
            if pod["metadata"]["labels"].get(HASH_LABEL) == revision:
                continue
            ready = pod_status.is_ready(pod)
            if not ready or room > 0:
                room -= ready
                await self.control.delete(daemon_set, pod)

    def _status(self, key: Key, daemon_set: Object, revision: str) -> Object:
        pods = [pod for pod in self._pods(daemon_set) if pod_status.is_active(pod)]
        wait = daemon_set["spec"].get("minReadySeconds", 0)
        waits = [left for pod in pods if (left := pod_status.seconds_until_available(pod, wait)) is not None]
        if pending := [left for left in waits if left > 0]:
            self.queue.add_after(key, min(pending) + 0.01)
        desired = sum(runs_on(_pod(daemon_set, revision, node), node) for node in self.nodes.items())
        available = sum(left <= 0 for left in waits)
        status = {
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": desired,
            "numberMisscheduled": 0,
            "numberReady": len(waits),
            "observedGeneration": daemon_set["metadata"]["generation"],
        }
        optional = {
            "numberAvailable": available,
            "numberUnavailable": desired - available,
            "updatedNumberScheduled": sum(pod["metadata"]["labels"].get(HASH_LABEL) == revision for pod in pods),
        }
        return {**status, **{name: count for name, count in optional.items() if count > 0}}


def _set_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    for pod in (old, new):
        owner = owners.controller_of(pod) if pod else None
        if pod and owner and owner["kind"] == "DaemonSet":
            yield pod["metadata"]["namespace"], owner["name"]


def _pod(daemon_set: Object, revision: str, node: Object) -> Object:
    pod = copy.deepcopy(pod_from_template(daemon_set))
    generation = str(daemon_set["metadata"]["generation"])
    labels = pod["metadata"].setdefault("labels", {})
    labels |= {HASH_LABEL: revision, "pod-template-generation": generation}
    spec = pod["spec"]
    field = {"key": "metadata.name", "operator": "In", "values": [node["metadata"]["name"]]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms") or [{}]
    pinned = {"nodeSelectorTerms": [{**term, "matchFields": [field]} for term in terms]}
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = pinned
    spec.setdefault("tolerations", []).extend(
        {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": effect} for taint, effect in _TAINTS
    )
    return pod


def _node_of(pod: Object) -> str:
    """The node a pod runs on, or was made for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(affinity["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def _pods_of(value: int | str, count: int) -> int:
    return value if isinstance(value, int) else -(-int(value.rstrip("%")) * count // 100)
