"""The scheduler: binds each pod to a node that it fits on, or says why there is none.

Filters: cordoned nodes, nodeSelector, required node affinity, taints, requests of CPU, memory and pods, and claims
(`volume_scheduling`).
Source: ``k8s.io/kubernetes/pkg/scheduler`` (framework/plugins).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.controllers import pod_status
from meshdojo.kubernetes.controllers.controller import Cluster, Controller
from meshdojo.kubernetes.controllers.taints import tolerates, untolerated
from meshdojo.kubernetes.controllers.volume_scheduling import VolumeBinding
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.selectors import LabelSelector
from meshdojo.kubernetes.timestamps import now

RESOURCES = ("cpu", "memory")
BY_NODE = "node"
# What a cordoned node counts as, whether or not it has the taint yet.
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class Scheduler(Controller):
    """Binds pods whose schedulerName is default-scheduler."""

    name = "default-scheduler"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.nodes = self.follow("nodes", lambda old, new: self._waiting())
        self.pods = self.follow("pods", self._to_schedule)
        self.pods.add_index(BY_NODE, lambda pod: filter(None, [pod["spec"].get("nodeName")]))
        self.volumes = VolumeBinding(
            self.client,
            self.follow(claims.CLAIMS, self._claiming),
            self.follow(claims.VOLUMES, self._claiming),
            self.follow(claims.CLASSES, self._claiming),
        )

    async def reconcile(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None or not _is_waiting(pod):
            return
        problem = self.volumes.problem(pod)
        if problem:
            # The real one's message ends so since its preemption looks for what no node could give.
            await self._give_up(pod, f"0/{len(self.nodes.items())} nodes are available: {problem}. not found")
            return
        reasons: Counter[str] = Counter()
        for node in self.nodes.items():
            unfit = self._unfit(pod, node)
            if not unfit:
                if await self.volumes.bind(pod, node["metadata"]["name"]):
                    await self._bind(pod, node["metadata"]["name"])
                return
            reasons.update(unfit)
        await self._give_up(pod, _words(len(self.nodes.items()), reasons))

    def _to_schedule(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        if new and _is_waiting(new):
            yield key_of(new)
        left = old and old["spec"].get("nodeName") and (new is None or pod_status.is_terminal(new))
        if left:  # room for others
            yield from self._waiting()

    def _waiting(self) -> Iterable[Key]:
        return [key_of(pod) for pod in self.informers.of("pods").items() if _is_waiting(pod)]

    def _claiming(self, _old: Object | None, _new: Object | None) -> Iterable[Key]:
        """Pods that wait, maybe for a claim."""
        return [key_of(pod) for pod in self.informers.of("pods").items() if _is_waiting(pod) and claims.claims_of(pod)]

    async def _bind(self, pod: Object, node: str) -> None:
        namespace, name = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self.client.create("pods", binding, namespace, subresource="binding", name=name)
        except StatusError as error:
            if error.code in (404, 409):  # gone, or bound by somebody else
                return
            raise
        self.recorder.normal(pod, "Scheduled", f"Successfully assigned {namespace}/{name} to {node}")

    async def _give_up(self, pod: Object, message: str) -> None:
        known = pod_status.condition(pod, "PodScheduled")
        if known is not None and known["status"] == "False" and known["message"] == message:
            return
        self.recorder.warning(pod, "FailedScheduling", message)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": known["lastTransitionTime"] if known else now(),
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        status = pod.get("status") or {}
        others = [one for one in status.get("conditions") or () if one["type"] != "PodScheduled"]
        await self.write_status(self.pods, pod, {**status, "conditions": [*others, condition]})

    def _unfit(self, pod: Object, node: Object) -> list[str]:
        """Why the pod cannot run on this node; [] if it can."""
        tolerations = pod["spec"].get("tolerations") or ()
        if node["spec"].get("unschedulable") and not any(tolerates(one, CORDON) for one in tolerations):
            return ["node(s) were unschedulable"]
        if not _selected(pod["spec"], node):
            return ["node(s) didn't match Pod's node affinity/selector"]
        taint = untolerated(pod["spec"], node)
        if taint is not None:
            return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
        return self._insufficient(pod, node) + self.volumes.unfit(pod)

    def _insufficient(self, pod: Object, node: Object) -> list[str]:
        allocatable = node["status"]["allocatable"]
        there = [one for one in self.pods.indexed(BY_NODE, node["metadata"]["name"]) if not pod_status.is_terminal(one)]
        reasons = ["Too many pods"] if len(there) + 1 > int(allocatable.get("pods", "0")) else []
        for resource in RESOURCES:
            request = requested(pod, resource)
            used = sum(requested(one, resource) for one in there) if request else 0
            if request and used + request > quantity.parse(allocatable.get(resource, "0")):
                reasons.append(f"Insufficient {resource}")
        return reasons


def requested(pod: Object, resource: str) -> int:
    """What a pod asks of a resource in all (billionths): containers and sidecars, or the largest init container."""
    spec = pod["spec"]
    running = sum(_request(one, resource) for one in spec.get("containers") or ())
    largest = 0
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running += _request(container, resource)
        else:
            largest = max(largest, _request(container, resource))
    return max(running, largest)


def _request(container: Object, resource: str) -> int:
    return quantity.parse(((container.get("resources") or {}).get("requests") or {}).get(resource, "0"))


def _is_waiting(pod: Object) -> bool:
    spec = pod["spec"]
    mine = spec.get("schedulerName", "default-scheduler") == "default-scheduler"
    return mine and not spec.get("nodeName") and pod_status.is_active(pod) and not spec.get("schedulingGates")


def _selected(spec: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (affinity or {}).get("nodeSelectorTerms")
    return terms is None or any(_matches(term, node) for term in terms)


def runs_on(pod: Object, node: Object) -> bool:
    """Whether the pod's selectors and tolerations allow this node (that it is cordoned or full is another matter)."""
    return _selected(pod["spec"], node) and untolerated(pod["spec"], node) is None


def _matches(term: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = LabelSelector.from_object({"matchExpressions": term.get("matchFields")})
    if not fields.matches_labels({"metadata.name": node["metadata"]["name"]}):
        return False
    if term.get("matchFields") and not term.get("matchExpressions"):
        return True
    return _matches_labels(term, labels)


def _matches_labels(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = [one for one in term.get("matchExpressions") or () if one["operator"] not in ("Gt", "Lt")]
    compared = [one for one in term.get("matchExpressions") or () if one["operator"] in ("Gt", "Lt")]
    if not LabelSelector.from_object({"matchExpressions": expressions}).matches_labels(labels):
        return False
    return bool(expressions or compared) and all(_compares(one, labels.get(one["key"], "")) for one in compared)


def _compares(expression: Object, value: str) -> bool:
    if not value.isdigit():
        return False
    bound = int(expression["values"][0])
    return int(value) > bound if expression["operator"] == "Gt" else int(value) < bound


def _words(nodes: int, reasons: Mapping[str, int]) -> str:
    """The message of a FailedScheduling event (framework.FitError)."""
    if not nodes:
        return "no nodes available to schedule pods"
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    helpless = f"0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
    return f"0/{nodes} nodes are available: {listed}. no new claims to deallocate, preemption: {helpless}"
