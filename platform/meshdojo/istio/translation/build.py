"""Small builders of Envoy messages that every resource needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from meshdojo.istio.messages import (
    Address,
    AggregatedConfigSource,
    AnyMessage,
    CidrRange,
    ConfigSource,
    Duration,
    FractionalPercent,
    Metadata,
    RuntimeFractionalPercent,
    SocketAddress,
    Struct,
    TransportSocket,
    UInt32Value,
)

UNLIMITED = 4294967295
V3 = 2  # ApiVersion.V3
NEVER = timedelta(0)
_TYPE_PREFIX = "type.googleapis.com/"


def packed(message: Any) -> Any:
    """`message` as google.protobuf.Any, encoded the same way every time."""
    return AnyMessage(
        type_url=_TYPE_PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True)
    )


def duration(value: timedelta) -> Any:
    """The protobuf message of a duration."""
    found = Duration()
    found.FromTimedelta(value)
    return found


def uint32(value: int) -> Any:
    """A wrapped number, which can also be absent."""
    return UInt32Value(value=value)


def address(ip: str, port: int) -> Any:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=ip, port_value=port))


def cidr(text: str) -> Any:
    """From ``10.0.0.0/8`` or a single address."""
    prefix, _, length = text.partition("/")
    return CidrRange(address_prefix=prefix, prefix_len=uint32(int(length) if length else 32))


def ads(initial_fetch_timeout: timedelta = NEVER) -> Any:
    """The config source of everything we deliver; by default Envoy waits for it as long as it takes."""
    return ConfigSource(
        ads=AggregatedConfigSource(),
        initial_fetch_timeout=duration(initial_fetch_timeout),
        resource_api_version=V3,
    )


def transport_socket(name: str, config: Any) -> Any:
    """A transport socket of Envoy's, by the last part of its name."""
    return TransportSocket(name=f"envoy.transport_sockets.{name}", typed_config=packed(config))


def metadata(**filters: Mapping[str, Any]) -> Any:
    """Filter metadata; ``__`` in a name stands for a dot."""
    found = Metadata()
    for name, content in filters.items():
        struct = Struct()
        struct.update(content)
        found.filter_metadata[name.replace("__", ".")].CopyFrom(struct)
    return found


def percentage(value: float) -> Any:
    """Per cent (0 to 100) in millionths, as Istio writes it."""
    return FractionalPercent(numerator=int(value * 10_000), denominator=FractionalPercent.MILLION)


def runtime_percentage(value: float) -> Any:
    """A percentage (0 to 100, with fractions) that no runtime setting overrides."""
    return RuntimeFractionalPercent(default_value=percentage(value))
