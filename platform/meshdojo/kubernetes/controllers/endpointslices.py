"""EndpointSlices: for each service with a selector, the addresses of its pods and whether they are ready.

Source: ``k8s.io/endpointslice`` (reconciler.go); KEP-1672 for serving and terminating.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers import owners, pod_status
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
from meshdojo.kubernetes.endpoints import SERVICE_LABEL

MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
RESOURCE = "endpointslices.discovery.k8s.io"
LARGEST_SLICE = 100
Part = tuple[list[Object], list[Object]]  # the ports and endpoints of one slice


class EndpointSliceController(Controller):
    """Writes one slice for each set of ports that a service's pods have (named ports may differ between pods)."""

    name = "endpoint-slice-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.services = self.follow("services", itself)
        self.pods = self.follow("pods", lambda old, new: services_of(self.services, old, new))
        self.slices = self.follow(RESOURCE, _service_of)
        self.slices.add_index("service", lambda one: [f"{key[0]}/{key[1]}" for key in _service_of(None, one)])

    async def reconcile(self, key: Key) -> None:
        service = self.services.get(*key)
        if service is None or service["metadata"].get("deletionTimestamp") or not selects(service):
            return
        left = self.slices.indexed("service", f"{key[0]}/{key[1]}")
        try:
            for part in _parts(service, pods_of(service, self.pods)):
                current = _best(left, part)
                if current is not None:
                    left.remove(current)
                await self._write(service, current, part)
            for superfluous in left:
                await self._delete(superfluous["metadata"])
        except StatusError as error:
            if not namespace_is_going(error):
                raise

    async def _write(self, service: Object, current: Object | None, part: Part) -> None:
        ports, endpoints = part
        metadata = service["metadata"]
        if current is None:
            made = await self.client.create(RESOURCE, _slice(service, ports, endpoints), metadata["namespace"])
            self.slices.observe(made)
            return
        labels = _labels(service)
        changed = {
            **current,
            "metadata": {**current["metadata"], "labels": labels},
            "ports": ports,
            "endpoints": endpoints,
        }
        if changed != {**current, "ports": current.get("ports") or [], "endpoints": current.get("endpoints") or []}:
            await self.write(self.slices, changed)

    async def _delete(self, metadata: Object) -> None:
        try:
            await self.client.delete(RESOURCE, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except StatusError as error:
            if error.code != 404:
                raise


def _service_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    """The service of a slice that is managed here."""
    metadata = (new or old or {})["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(MANAGER_LABEL) == MANAGER and labels.get(SERVICE_LABEL):
        yield metadata["namespace"], labels[SERVICE_LABEL]


def _parts(service: Object, pods: list[Object]) -> list[Part]:
    """What the slices should hold; a service without pods has one empty slice."""
    groups: dict[bytes, Part] = {}
    for pod in pods:
        ports = list(ports_of(service, pod))
        _, endpoints = groups.setdefault(orjson.dumps(ports), (ports, []))
        endpoints.append(_endpoint(service, pod))
    return [
        (ports, endpoints[start : start + LARGEST_SLICE])
        for ports, endpoints in groups.values()
        for start in range(0, len(endpoints), LARGEST_SLICE)
    ] or [([], [])]


def _best(slices: list[Object], part: Part) -> Object | None:
    """The existing slice to keep for `part`: one with the same ports if there is one."""
    same = (one for one in slices if (one.get("ports") or []) == part[0])
    return next(same, slices[0] if slices else None)


def _endpoint(service: Object, pod: Object) -> Object:
    serving = pod_status.is_ready(pod)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: dict[str, Any] = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": target_reference(pod),
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    if hostname := hostname_of(service, pod):
        endpoint["hostname"] = hostname
    return endpoint


def _labels(service: Object) -> dict[str, str]:
    metadata = service["metadata"]
    labels = {**(metadata.get("labels") or {}), MANAGER_LABEL: MANAGER, SERVICE_LABEL: metadata["name"]}
    return {**labels, HEADLESS_LABEL: ""} if is_headless(service) else labels


def _slice(service: Object, ports: list[Object], endpoints: list[Object]) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": _labels(service),
            "ownerReferences": [owners.controller_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }
