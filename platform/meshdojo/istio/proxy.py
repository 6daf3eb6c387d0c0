"""Which proxy asks: the identity that an Envoy sends with its first discovery request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Literal

from meshdojo import network

Role = Literal["sidecar", "router"]
ROLES: tuple[Role, ...] = ("sidecar", "router")


class BadNode(ValueError):
    """A node id or its metadata that cannot be understood; the message says what was found."""


@dataclass(frozen=True)
class Proxy:
    """One Envoy: a sidecar or a gateway (``router``).

    `labels` and `service_account` are what the proxy says of itself; the pod's own are taken where it is known.
    """

    role: Role
    ip: str
    name: str
    namespace: str
    service_account: str = "default"
    cluster: str = "Kubernetes"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @classmethod
    def parse(cls, node_id: str, metadata: Mapping[str, Any]) -> Proxy:
        """From an Envoy node: the id is ``sidecar~IP~POD.NAMESPACE~DOMAIN`` (as pilot-agent writes it).

        Raises BadNode.
        """
        parts = node_id.split("~")
        if len(parts) != 4 or parts[0] not in ROLES or "." not in parts[2]:
            raise BadNode(f"node id {node_id!r}: expected 'sidecar~IP~POD.NAMESPACE~DOMAIN' or 'router~…'")
        name, _, namespace = parts[2].rpartition(".")
        return cls(
            role="router" if parts[0] == "router" else "sidecar",
            ip=parts[1],
            name=str(metadata.get("NAME", name)),
            namespace=str(metadata.get("NAMESPACE", namespace)),
            service_account=str(metadata.get("SERVICE_ACCOUNT", "default")),
            cluster=str(metadata.get("CLUSTER_ID", "Kubernetes")),
            labels={str(key): str(value) for key, value in metadata.get("LABELS", {}).items()},
            metadata=metadata,
        )

    @property
    def id(self) -> str:
        """``POD.NAMESPACE``, as ``istioctl proxy-status`` shows it."""
        return f"{self.name}.{self.namespace}"

    @property
    def twin(self) -> str:
        """The private address where the application of this proxy's pod listens."""
        return network.twin(self.ip)

    @property
    def pods(self) -> IPv4Network:
        """All pod IPs of the proxy's environment: the /16 around its own."""
        return IPv4Network(f"{self.ip}/16", strict=False)
