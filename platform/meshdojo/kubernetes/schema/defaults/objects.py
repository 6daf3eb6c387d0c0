"""Defaults of namespaces, nodes, secrets, volumes and limit ranges."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema.defaults.fill import child, fill


def default_disruption_budget(budget: Object) -> None:
    """The numbers of its status are written even when they are 0."""
    fill(child(budget, "status"), currentHealthy=0, desiredHealthy=0, disruptionsAllowed=0, expectedPods=0)


def default_status(obj: Object) -> None:
    """An empty status, where the real server never leaves it out."""
    child(obj, "status")


def default_namespace(namespace: Object) -> None:
    """Source: SetDefaults_Namespace (the name label) and the strategy (finalizer, phase)."""
    metadata = child(namespace, "metadata")
    if metadata.get("name"):
        child(metadata, "labels").setdefault("kubernetes.io/metadata.name", metadata["name"])
    fill(child(namespace, "status"), phase="Active")


def default_node(node: Object) -> None:
    """Source: SetDefaults_NodeStatus in k8s.io/kubernetes/pkg/apis/core/v1."""
    child(node, "spec")
    status = child(node, "status")
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def default_secret(secret: Object) -> None:
    """Source: SetDefaults_Secret in k8s.io/kubernetes/pkg/apis/core/v1."""
    fill(secret, type="Opaque")


def default_persistent_volume(volume: Object) -> None:
    """Source: SetDefaults_PersistentVolume in k8s.io/kubernetes/pkg/apis/core/v1."""
    fill(child(volume, "spec"), persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    fill(child(volume, "status"), phase="Pending")


def default_persistent_volume_claim(claim: Object) -> None:
    """Source: SetDefaults_PersistentVolumeClaim in k8s.io/kubernetes/pkg/apis/core/v1."""
    fill(child(claim, "spec"), volumeMode="Filesystem")
    fill(child(claim, "status"), phase="Pending")


def default_priority_class(found: Object) -> None:
    """Source: SetDefaults_PriorityClass in k8s.io/kubernetes/pkg/apis/scheduling/v1."""
    fill(found, preemptionPolicy="PreemptLowerPriority")
    found.setdefault("value", 0)


def default_storage_class(found: Object) -> None:
    """Source: SetDefaults_StorageClass in k8s.io/kubernetes/pkg/apis/storage/v1."""
    fill(found, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def default_limit_range(limits: Object) -> None:
    """A container's default limit is its maximum, its default request the limit, else the minimum."""
    for item in child(limits, "spec").get("limits") or ():
        if item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        for name, value in (("default", default), ("defaultRequest", request)):
            if value:
                item[name] = value


def default_new_event(event: Object) -> None:
    """An event in the shape of events.k8s.io."""
    event.setdefault("eventTime", None)


def default_event(event: Object) -> None:
    """Three fields are always written, also when they are empty."""
    event.setdefault("eventTime", None)
    event.setdefault("reportingComponent", "")
    event.setdefault("reportingInstance", "")
