"""Which pod addresses are ready behind a service."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.store import Store

SERVICE_LABEL = "kubernetes.io/service-name"
_STORAGE = "endpointslices.discovery.k8s.io"


def ready_endpoints(store: Store, namespace: str, service: str, port_name: str) -> list[tuple[str, int]]:
    """(address, port) of the ready endpoints of the service's port with this name ('' for a port without one)."""
    slices = (s for s in store.list(_STORAGE, namespace) if _belongs_to(s, service))
    return [endpoint for entry in slices for endpoint in _endpoints(entry, port_name)]


def _belongs_to(entry: Object, service: str) -> bool:
    labels = entry["metadata"].get("labels") or {}
    return bool(labels.get(SERVICE_LABEL) == service)


def _endpoints(entry: Object, port_name: str) -> Iterator[tuple[str, int]]:
    ports = [port["port"] for port in entry.get("ports") or [] if port.get("name", "") == port_name]
    for endpoint in entry.get("endpoints") or []:
        # Not stated counts as ready. Source: EndpointConditions in discovery/v1.
        if (endpoint.get("conditions") or {}).get("ready") is not False:
            yield from ((address, port) for address in endpoint["addresses"] for port in ports)
