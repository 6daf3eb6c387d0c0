"""`Snapshot`: everything a translation needs, immutable.

Every entry carries a *serial* that changes with its content. Serials are what translations are cached by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshdojo.istio.configs import Configs
from meshdojo.istio.mesh import MeshConfig
from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.service import Endpoint, Service
from meshdojo.istio.workload import Workload

Object = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Endpoints:
    """The endpoints of one service, ordered by address."""

    items: tuple[Endpoint, ...] = ()
    serial: int = 0

    @property
    def identities(self) -> tuple[str, ...]:
        """The SPIFFE URIs that its pods' certificates may carry."""
        return tuple(sorted({one.identity for one in self.items if one.identity}))


NO_ENDPOINTS = Endpoints()


@dataclass(frozen=True, eq=False)
class Services:
    """All services by host (where several define a host: Kubernetes first, then the oldest)."""

    by_host: Mapping[str, Service] = field(default_factory=dict)
    serial: int = 0

    def __iter__(self) -> Iterator[Service]:
        return iter(self.by_host.values())

    def selecting(self, pod: Workload) -> list[Service]:
        """The Kubernetes services whose selector fits a pod, the oldest first."""
        return [
            one
            for one in self.by_host.values()
            if one.namespace == pod.namespace and one.selector and fits(one.selector, pod.labels)
        ]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of the cluster. Compared by identity; `serial` grows from one to the next.

    `virtual_services` has those with hosts, delegates merged into them; `versions` has every Istio object.
    """

    serial: int = 0
    mesh: MeshConfig = field(default_factory=MeshConfig)
    services: Services = field(default_factory=Services)
    endpoints: Mapping[str, Endpoints] = field(default_factory=dict)
    endpoints_serial: int = 0
    workloads: Mapping[Key, Workload] = field(default_factory=dict)
    workloads_serial: int = 0
    virtual_services: Configs[VirtualService] = field(default_factory=Configs)
    destination_rules: Configs[DestinationRule] = field(default_factory=Configs)
    gateways: Configs[Gateway] = field(default_factory=Configs)
    sidecars: Configs[Sidecar] = field(default_factory=Configs)
    peer_authentications: Configs[PeerAuthentication] = field(default_factory=Configs)
    authorization_policies: Configs[AuthorizationPolicy] = field(default_factory=Configs)
    secrets: Mapping[Key, Object] = field(default_factory=dict)
    secrets_serial: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)

    def endpoints_of(self, host: str) -> Endpoints:
        """The endpoints of a service by its full host name; none for an unknown one."""
        return self.endpoints.get(host, NO_ENDPOINTS)

    def version_of(self, ref: str) -> str:
        """The resourceVersion of the Istio object ``Kind/namespace/name`` in this snapshot, '' if it is not there."""
        return self.versions.get(ref, "")


def fits(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` has every label of `selector`."""
    return all(labels.get(name) == value for name, value in selector.items())
