"""To which workload a pod belongs: the names that telemetry, logs and the mesh's views show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CRON_JOB = re.compile(r"(.+)-\d{8,}")


@dataclass(frozen=True)
class Workload:
    """The object that made a pod, seen through ReplicaSets and Jobs to what a person wrote."""

    name: str
    kind: str = "Pod"
    api_version: str = "v1"

    def owner(self, namespace: str) -> str:
        """The value of ISTIO_META_OWNER."""
        return f"kubernetes://apis/{self.api_version}/namespaces/{namespace}/{self.kind.lower()}s/{self.name}"


def workload(pod: Mapping[str, Any]) -> Workload:
    """The workload of a pod that is about to be made. Source: ``GetDeployMetaFromPod`` of istio's pkg/kube."""
    metadata = pod.get("metadata") or {}
    controller = _controller(metadata)
    if controller is None or not metadata.get("generateName"):
        return Workload(str(metadata.get("name") or metadata.get("generateName", "")))
    name, kind, version = controller["name"], controller["kind"], controller["apiVersion"]
    suffix = "-" + str((metadata.get("labels") or {}).get("pod-template-hash", ""))
    if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
        return Workload(name.removesuffix(suffix), "Deployment", version)
    cron = _CRON_JOB.fullmatch(name)
    if kind == "Job" and cron:
        return Workload(cron[1], "CronJob", version)
    return Workload(name, kind, version)


def _controller(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")), None)


def canonical_labels(labels: Mapping[str, str], name: str) -> dict[str, str]:
    """The labels of the canonical service: name and revision, from what the pod is labelled with."""
    service = (
        labels.get("service.istio.io/canonical-name") or labels.get("app.kubernetes.io/name") or labels.get("app")
    ) or name
    revision = (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
    )
    return {
        "service.istio.io/canonical-name": service[:63].strip("-_."),
        "service.istio.io/canonical-revision": revision or "latest",
    }
