"""`Config`: an Istio object as translations see it, with the serial of its content; and all of a kind, `Configs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.base import Kind
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.service_entry import ServiceEntry
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.virtual_service import VirtualService

K = TypeVar("K", bound=Kind)
KINDS: tuple[type[Kind], ...] = (
    *(VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar),
    *(PeerAuthentication, AuthorizationPolicy),
)


@dataclass(frozen=True, eq=False)
class Config(Generic[K]):
    """An Istio object, and the serial of its present content."""

    object: K
    serial: int
    resource_version: str = ""

    @property
    def namespace(self) -> str:
        """The resource's namespace."""
        return self.object.metadata.namespace

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.object.metadata.name

    @property
    def ref(self) -> str:
        """``VirtualService/fleet/web``."""
        return f"{self.object.TYPE.kind}/{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts the oldest first, as Istio decides between objects that contradict each other."""
        return self.object.metadata.creation_timestamp, self.name, self.namespace


@dataclass(frozen=True, eq=False)
class Configs(Generic[K]):
    """All objects of a kind, the oldest first."""

    items: tuple[Config[K], ...] = ()
    serial: int = 0

    def __iter__(self) -> Iterator[Config[K]]:
        return iter(self.items)

    def within(self, namespace: str) -> list[Config[K]]:
        """Those of one namespace, in their order."""
        return [one for one in self.items if one.namespace == namespace]
