"""Classic Endpoints: deprecated, but old tools and ``kubectl get endpoints`` still look at them.

Source: ``k8s.io/kubernetes/pkg/controller/endpoint/endpoints_controller.go``.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers import pod_status
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself, namespace_is_going
from meshdojo.kubernetes.controllers.service_endpoints import (
    HEADLESS_LABEL,
    hostname_of,
    is_headless,
    pods_of,
    ports_of,
    selects,
    services_of,
    target_reference,
)

MANAGER_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


class EndpointsController(Controller):
    """One Endpoints object for each service with a selector, named like it."""

    name = "endpoint-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.services = self.follow("services", itself)
        self.pods = self.follow("pods", lambda old, new: services_of(self.services, old, new))
        self.endpoints = self.follow("endpoints", itself)

    async def reconcile(self, key: Key) -> None:
        service = self.services.get(*key)
        current = self.endpoints.get(*key)
        try:
            if service is None:
                await self._delete_leftover(key, current)
            elif selects(service) and not service["metadata"].get("deletionTimestamp"):
                await self._write(key, current, _endpoints(service, pods_of(service, self.pods)))
        except StatusError as error:
            if not namespace_is_going(error):
                raise

    async def _write(self, key: Key, current: Object | None, wanted: Object) -> None:
        if current is None:
            self.endpoints.observe(await self.client.create("endpoints", wanted, key[0]))
            return
        metadata = {**current["metadata"], "labels": wanted["metadata"]["labels"]}
        changed = {**current, "metadata": metadata, "subsets": wanted["subsets"]}
        if changed != {**current, "subsets": current.get("subsets") or []}:
            await self.write(self.endpoints, changed)

    async def _delete_leftover(self, key: Key, current: Object | None) -> None:
        if current is None or (current["metadata"].get("labels") or {}).get(MANAGER_LABEL) != MANAGER:
            return
        try:
            await self.client.delete("endpoints", key[1], key[0], uid=current["metadata"]["uid"])
        except StatusError as error:
            if error.code != 404:
                raise


def _endpoints(service: Object, pods: list[Object]) -> Object:
    metadata = service["metadata"]
    labels = {**(metadata.get("labels") or {}), MANAGER_LABEL: MANAGER}
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "labels": labels},
        "subsets": _subsets(service, pods),
    }


def _subsets(service: Object, pods: list[Object]) -> list[Object]:
    subsets: dict[bytes, dict[str, Any]] = {}
    not_ready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    for pod in sorted(pods, key=lambda pod: IPv4Address(pod["status"]["podIP"])):
        if pod["metadata"].get("deletionTimestamp") and not not_ready_too:
            continue
        ports = [_port(port) for port in ports_of(service, pod)]
        if not ports and not is_headless(service):
            continue
        subset = subsets.setdefault(orjson.dumps(ports), {"ports": ports})
        ready = not_ready_too or pod_status.is_ready(pod)
        subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(_address(service, pod))
    return [_ordered(subset) for subset in subsets.values()]


def _ordered(subset: dict[str, Any]) -> Object:
    return {name: subset[name] for name in ("addresses", "notReadyAddresses", "ports") if subset.get(name)}


def _port(port: Object) -> Object:
    return {name: value for name, value in port.items() if value != ""}


def _address(service: Object, pod: Object) -> Object:
    address: dict[str, Any] = {"ip": pod["status"]["podIP"], "targetRef": target_reference(pod)}
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    if hostname := hostname_of(service, pod):
        address["hostname"] = hostname
    return address
