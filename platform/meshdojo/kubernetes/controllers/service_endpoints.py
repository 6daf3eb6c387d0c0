"""Which pods serve a service on which ports: what endpoint slices and classic Endpoints have in common.

Source: ``k8s.io/endpointslice`` (utils.go) and ``k8s.io/kubernetes/pkg/api/v1/endpoints``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Informer, Key, key_of
from meshdojo.kubernetes.controllers import pod_status
from meshdojo.kubernetes.selectors import LabelSelector

HEADLESS_LABEL = "service.kubernetes.io/headless"
# What of a pod endpoints are made of: a change of anything else is none of ours.
_STATUS_FIELDS = ("phase", "podIP")


def selects(service: Object) -> bool:
    """Whether the cluster keeps this service's endpoints (else they are somebody's own, or it has none)."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Whether the service has no address of its own."""
    return bool(service["spec"].get("clusterIP") == "None")


def pods_of(service: Object, pods: Informer) -> list[Object]:
    """The pods that serve `service` or are about to, the oldest first. They have an address and have not ended."""
    selector = _selector(service)
    serving = (
        pod
        for pod in pods.items(service["metadata"]["namespace"])
        if selector.matches(pod) and (pod.get("status") or {}).get("podIP") and not pod_status.is_terminal(pod)
    )
    return sorted(serving, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def services_of(services: Informer, old: Object | None, new: Object | None) -> Iterable[Key]:
    """The services whose endpoints a change of a pod may change."""
    if old and new and _relevant(old) == _relevant(new):
        return
    pods = [pod for pod in (old, new) if pod]
    for service in services.items(pods[0]["metadata"]["namespace"]):
        if selects(service) and any(map(_selector(service).matches, pods)):
            yield key_of(service)


def ports_of(service: Object, pod: Object) -> tuple[Object, ...]:
    """The ports of `service` on `pod` ({name, port, protocol, appProtocol}); named ones the pod lacks are left out."""
    ports = []
    for port in service["spec"].get("ports") or ():
        number = _target(port, pod)
        if number is not None:
            found: dict[str, Any] = {
                "name": port.get("name", ""),
                "port": number,
                "protocol": port.get("protocol", "TCP"),
            }
            if port.get("appProtocol"):
                found["appProtocol"] = port["appProtocol"]
            ports.append(found)
    return tuple(ports)


def target_reference(pod: Object) -> Object:
    """The targetRef of a pod's endpoint."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def hostname_of(service: Object, pod: Object) -> str:
    """The name that DNS gives this pod below the service's, '' if none."""
    named = pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]
    return str(pod["spec"]["hostname"]) if named else ""


def _target(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    sidecars = (one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always")
    for container in (*(pod["spec"].get("containers") or ()), *sidecars):
        for offered in container.get("ports") or ():
            if offered.get("name") == target and offered.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(offered["containerPort"])
    return None


def _selector(service: Object) -> LabelSelector:
    return LabelSelector.from_object({"matchLabels": service["spec"].get("selector")})


def _relevant(pod: Object) -> tuple[Any, ...]:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    return (
        *(status.get(field) for field in _STATUS_FIELDS),
        pod_status.is_ready(pod),
        bool(metadata.get("deletionTimestamp")),
        metadata.get("labels"),
        pod["spec"].get("nodeName"),
    )
