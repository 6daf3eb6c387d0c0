"""`Resource`: one Envoy resource, encoded once and shared by all proxies that get it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from meshdojo.istio.messages import AnyMessage, DiscoveryResource

_PREFIX = "type.googleapis.com/envoy"
CDS = f"{_PREFIX}.config.cluster.v3.Cluster"
EDS = f"{_PREFIX}.config.endpoint.v3.ClusterLoadAssignment"
LDS = f"{_PREFIX}.config.listener.v3.Listener"
RDS = f"{_PREFIX}.config.route.v3.RouteConfiguration"
SDS = f"{_PREFIX}.extensions.transport_sockets.tls.v3.Secret"


@dataclass(frozen=True, eq=False)
class Resource:
    """`version` is a digest of the content, so that a proxy that reconnects to a new istiod is sent only what differs.

    `origins` are the Istio objects it was made from (``VirtualService/fleet/web``), to blame when Envoy refuses it.
    """

    name: str
    version: str
    message: Any  # envoy.service.discovery.v3.Resource
    origins: tuple[str, ...] = ()

    @classmethod
    def encode(cls, name: str, content: Any, origins: tuple[str, ...] = ()) -> Resource:
        """From a protobuf message."""
        encoded = content.SerializeToString(deterministic=True)
        version = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        packed = AnyMessage(type_url=f"type.googleapis.com/{content.DESCRIPTOR.full_name}", value=encoded)
        return cls(name, version, DiscoveryResource(name=name, version=version, resource=packed), origins)

    def decode(self, message_type: Any) -> Any:
        """The message again, given its class."""
        return message_type.FromString(self.message.resource.value)
