"""Which pods belong together, and to which service: the nodes of the picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshdojo.checks.pods import has_sidecar, is_ready, selects
from meshdojo.checks.probe import NAMESPACES
from meshdojo.cluster.client import Object

# Namespaces whose pods are nobody's application; gateways in them are shown all the same.
SYSTEM = frozenset({"istio-system", "kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
PROBES = frozenset(NAMESPACES.values())
# The last part of a pod's name that its controllers made up.
_MADE_UP = re.compile(r"(-[a-z0-9]{6,10})?-[a-z0-9]{5}$")


@dataclass(frozen=True)
class Workload:
    """Pods that are alike: one version of a service, a gateway, or a program that no service leads to."""

    namespace: str
    name: str
    version: str
    gateway: bool
    pods: tuple[Object, ...]

    @property
    def ready(self) -> int:
        """How many pods serve."""
        return sum(map(is_ready, self.pods))

    @property
    def sidecars(self) -> int:
        """How many pods have a proxy."""
        return sum(has_sidecar(pod) for pod in self.pods)


@dataclass(frozen=True)
class Group:
    """A node: a service with its workloads, or a workload by itself. `kind`: service, gateway, workload, probe."""

    id: str
    kind: str
    namespace: str
    name: str
    workloads: tuple[Workload, ...]
    service: Object | None = None


def workloads(pods: Iterable[Object]) -> list[Workload]:
    """The pods, put together by what they are."""
    found: dict[tuple[str, str, str, bool], list[Object]] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        metadata = pod["metadata"]
        labels = metadata.get("labels", {})
        gateway = is_gateway(pod)
        if metadata["namespace"] in SYSTEM and not gateway:
            continue
        key = (metadata["namespace"], workload_name(pod), labels.get("version", ""), gateway)
        found.setdefault(key, []).append(pod)
    return [Workload(*key, tuple(members)) for key, members in sorted(found.items())]


def is_gateway(pod: Object) -> bool:
    """Whether the pod is a proxy of its own, at the edge of the mesh (Istio labels them ``istio: …gateway``)."""
    labels = pod["metadata"].get("labels", {})
    containers = pod["spec"]["containers"]
    own = len(containers) == 1 and containers[0]["name"] == "istio-proxy"
    return own or str(labels.get("istio", "")).endswith("gateway")


def workload_name(pod: Object) -> str:
    """The Deployment's name, from the pod's own: 'web-original-5fd64b597f-mc57r' -> 'web-original'."""
    return _MADE_UP.sub("", pod["metadata"]["name"]) or str(pod["metadata"]["name"])


def groups(services: Iterable[Object], pods: Iterable[Object]) -> list[Group]:
    """The nodes: services with a selector, with the workloads that they select; then what no service leads to."""
    rest = workloads(pods)
    found: list[Group] = []
    for service in sorted(services, key=_specificity):
        selector = service["spec"].get("selector")
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        if not selector or (namespace, name) == ("default", "kubernetes"):
            continue
        mine = [one for one in rest if one.namespace == namespace and selects(selector, one.pods[0])]
        if namespace in SYSTEM and not any(one.gateway for one in mine):
            continue
        rest = [one for one in rest if one not in mine]
        gateway = bool(mine) and all(one.gateway for one in mine)
        kind = "gateway" if gateway else "probe" if namespace in PROBES else "service"
        found.append(Group(f"{kind}/{namespace}/{name}", kind, namespace, name, tuple(mine), service))
    for one in rest:
        kind = "gateway" if one.gateway else "probe" if one.namespace in PROBES else "workload"
        found.append(Group(f"{kind}/{one.namespace}/{one.name}", kind, one.namespace, one.name, (one,)))
    return found


def _specificity(service: Object) -> tuple[int, str, str]:
    """The service that asks for the fewest labels takes a pod that two of them select."""
    metadata = service["metadata"]
    return len(service["spec"].get("selector") or ()), metadata["namespace"], metadata["name"]


def by_address(found: Sequence[Group]) -> Mapping[str, tuple[Group, Workload, Object]]:
    """Who has an address."""
    return {
        pod["status"]["podIP"]: (group, workload, pod)
        for group in found
        for workload in group.workloads
        for pod in workload.pods
        if pod.get("status", {}).get("podIP") and not pod["spec"].get("hostNetwork")
    }
