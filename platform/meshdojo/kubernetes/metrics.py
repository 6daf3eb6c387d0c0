"""The metrics API, which ``kubectl top`` asks: what nodes and pods use now.

On a real cluster an aggregated server brings it (metrics-server), here it is a part. Nothing is stored: objects are
made when they are asked for, of what the node measures. Source: k8s.io/metrics/pkg/apis/metrics/v1beta1, and the
strings of metrics-server's answers.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.node import Usage
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.timestamps import now

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_VERBS = ("get", "list")
NODES = Resource(GROUP, VERSION, "nodes", "NodeMetrics", "", namespaced=False, verbs=_VERBS)
PODS = Resource(GROUP, VERSION, "pods", "PodMetrics", "", namespaced=True, verbs=_VERBS)
RESOURCES = (NODES, PODS)


def node_metrics(node: Object, usage: Usage) -> Object:
    """The NodeMetrics of a node."""
    return {**_about(NODES, node, usage), "usage": _amounts(usage)}


def pod_metrics(pod: Object, containers: dict[str, Usage]) -> Object:
    """The PodMetrics of a pod; `containers` are those of its containers that run, one at least."""
    shortest = min(containers.values(), key=lambda usage: usage.window)
    entries = [{"name": name, "usage": _amounts(usage)} for name, usage in sorted(containers.items())]
    return {**_about(PODS, pod, shortest), "containers": entries}


def _about(resource: Resource, obj: Object, usage: Usage) -> Object:
    metadata = {"name": obj["metadata"]["name"], "creationTimestamp": now()}
    if resource.namespaced:
        metadata["namespace"] = obj["metadata"]["namespace"]
    if obj["metadata"].get("labels"):
        metadata["labels"] = obj["metadata"]["labels"]
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "timestamp": now(),
        "window": f"{usage.window:.3f}s",
    }


def _amounts(usage: Usage) -> Object:
    return {"cpu": f"{round(usage.cores * 1e9)}n", "memory": f"{usage.memory // 1024}Ki"}
