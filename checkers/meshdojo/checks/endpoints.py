"""Whether the news of a pod's readiness has reached istiod: pod -> EndpointSlice -> istiod's own list.

Three programs pass it on (the kubelet, the controller of EndpointSlices, istiod), so a pod may be Ready for some time
before the mesh sends it anything, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshdojo.checks.pods import is_ready, selects
from meshdojo.cluster.client import Object

SERVICE_LABEL = "kubernetes.io/service-name"
# pilot/pkg/model: Healthy; 2 is unhealthy, 3 draining, 4 terminating.
HEALTHY = 1

Key = tuple[str, str]
Addresses = Mapping[Key, frozenset[str]]


def of_pods(services: Iterable[Object], pods: Iterable[Object]) -> Addresses:
    """The addresses of the ready pods of each service (namespace, name) that has a selector."""
    ready = [pod for pod in pods if is_ready(pod) and not pod["spec"].get("hostNetwork")]
    return {
        _key(service): frozenset(pod["status"]["podIP"] for pod in ready if _belongs(pod, service))
        for service in services
        if service["spec"].get("selector") and not service["spec"].get("publishNotReadyAddresses")
    }


def _belongs(pod: Object, service: Object) -> bool:
    same = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
    return same and selects(service["spec"]["selector"], pod)


def of_slices(slices: Iterable[Object], *, served: bool = False) -> Addresses:
    """The addresses of the ready endpoints of each service; `served`: only those with a TCP port that is known.

    An endpoint whose pod lacks the named target port is in a slice without ports, and of no use to istiod.
    """
    found: dict[Key, frozenset[str]] = {}
    for obj in slices:
        name = obj["metadata"].get("labels", {}).get(SERVICE_LABEL)
        ports = [port for port in obj.get("ports") or () if port.get("protocol", "TCP") == "TCP" and port.get("port")]
        if name and (ports or not served):
            key = (obj["metadata"]["namespace"], name)
            found[key] = found.get(key, frozenset()) | _ready_addresses(obj)
    return found


def _ready_addresses(endpoint_slice: Object) -> frozenset[str]:
    # A missing `ready` means ready (discovery/v1).
    return frozenset(
        address
        for endpoint in endpoint_slice.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready", True) is not False
        for address in endpoint["addresses"]
    )


def of_istiod(shards: Mapping[str, Any]) -> Addresses:
    """The healthy addresses of each service in istiod's ``/debug/endpointShardz``."""
    found: dict[Key, frozenset[str]] = {}
    for host, namespaces in shards.items():
        for namespace, entry in namespaces.items():
            endpoints = [endpoint for shard in entry.get("Shards", {}).values() for endpoint in shard or ()]
            healthy = [endpoint for endpoint in endpoints if endpoint.get("HealthStatus", HEALTHY) == HEALTHY]
            found[namespace, host.split(".")[0]] = frozenset(
                address for endpoint in healthy for address in endpoint.get("Addresses", ())
            )
    return found


def behind(services: Iterable[Object], pods: Iterable[Object], slices: Iterable[Object], shards: Any) -> list[Key]:
    """The services for which the news has not arrived everywhere."""
    ready, listed = of_pods(services, pods), list(slices)
    in_slices, served, known = of_slices(listed), of_slices(listed, served=True), of_istiod(shards)
    none: frozenset[str] = frozenset()
    return [
        key
        for key, addresses in ready.items()
        if addresses != in_slices.get(key, none) or served.get(key, none) != known.get(key, none)
    ]


def _key(service: Object) -> Key:
    return service["metadata"]["namespace"], service["metadata"]["name"]
