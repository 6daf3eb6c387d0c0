"""What a pod's object says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshdojo.cluster.client import Object

PROXY = "istio-proxy"


def is_ready(pod: Object) -> bool:
    """Whether the pod serves: Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def has_sidecar(pod: Object) -> bool:
    """Whether Istio's proxy runs in the pod, as a native sidecar or as a container."""
    spec = pod["spec"]
    containers: list[dict[str, Any]] = [*spec.get("initContainers", ()), *spec["containers"]]
    return any(container["name"] == PROXY for container in containers)


def selects(selector: Mapping[str, str], pod: Object) -> bool:
    """Whether the pod carries all labels of the selector."""
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in selector.items())
