"""`Workload`: what the mesh knows of a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshdojo.network import EVERYTHING, Redirection

TLS_MODE_LABEL = "security.istio.io/tlsMode"
NAME_LABEL = "service.istio.io/canonical-name"
REVISION_LABEL = "service.istio.io/canonical-revision"
SIDECAR, INIT = "istio-proxy", "istio-init"


@dataclass(frozen=True)
class Workload:
    """A pod with an address. `ports` are the container ports (TCP) by name; unnamed ones are in `numbers` alone.

    Equal workloads look the same to the mesh, so that a pod whose status changes makes nothing anew.
    """

    namespace: str
    name: str
    ip: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    service_account: str = "default"
    ports: Mapping[str, int] = field(default_factory=dict, hash=False)
    numbers: tuple[int, ...] = ()
    injected: bool = False
    redirection: Redirection = EVERYTHING

    @property
    def in_mesh(self) -> bool:
        """Whether it accepts mutual TLS (the injector labels it so)."""
        return self.labels.get(TLS_MODE_LABEL) == "istio"

    @property
    def description(self) -> str:
        """As Istio's endpoints carry it: ``WORKLOAD;NAMESPACE;SERVICE;VERSION;CLUSTER``."""
        name = self.labels.get(NAME_LABEL) or self.labels.get("app") or self.name
        version = self.labels.get(REVISION_LABEL) or self.labels.get("version") or ""
        return f"{name};{self.namespace};{name};{version};Kubernetes"

    def number(self, target: int | str) -> int | None:
        """The container port that a service's targetPort means."""
        return target if isinstance(target, int) else self.ports.get(target)


def redirection(spec: Mapping[str, Any]) -> Redirection:
    """Which connections the proxy of a pod is given. `spec` may be {}."""
    inits = spec.get("initContainers") or ()
    return Redirection.parse([word for one in inits if one["name"] == INIT for word in one.get("args") or ()])


def has_sidecar(spec: Mapping[str, Any]) -> bool:
    """Whether Istio's proxy is among a pod's containers, as a native sidecar or a plain one. `spec` may be {}."""
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return any(one.get("name") == SIDECAR for one in containers)


def from_pod(pod: Mapping[str, Any]) -> Workload | None:
    """None while the pod has no address, and once it has ended."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    ip = status.get("podIP")
    if not ip or status.get("phase") in ("Succeeded", "Failed"):
        return None
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    application = [one for one in containers if one["name"] != SIDECAR]
    injected = len(application) < len(containers)
    ports = [
        port
        for one in (application or containers)
        for port in one.get("ports") or ()
        if (port.get("protocol") or "TCP") == "TCP"
    ]
    return Workload(
        namespace=metadata["namespace"],
        name=metadata["name"],
        ip=ip,
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        service_account=spec.get("serviceAccountName") or "default",
        ports={port["name"]: port["containerPort"] for port in ports if port.get("name")},
        numbers=tuple(sorted({port["containerPort"] for port in ports})),
        injected=injected,
        redirection=redirection(spec),
    )
