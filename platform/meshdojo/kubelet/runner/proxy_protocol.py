"""The PROXY protocol, version 2: tells the sidecar where a connection comes from and where it was going.

Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_VERSION_2_PROXY = 0x21
_TCP_OVER_IPV4, _TCP_OVER_IPV6 = 0x11, 0x21

Address = tuple[str, int]


def header(source: Address, destination: Address) -> bytes:
    """The binary header for a TCP connection. With an IPv6 destination the source is written as a mapped address."""
    target, origin = ip_address(destination[0]), ip_address(source[0])
    family = _TCP_OVER_IPV4
    if isinstance(target, IPv6Address):
        family = _TCP_OVER_IPV6
        origin = origin if isinstance(origin, IPv6Address) else ip_address(f"::ffff:{origin}")
    body = origin.packed + target.packed + source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
    return _SIGNATURE + bytes((_VERSION_2_PROXY, family)) + len(body).to_bytes(2, "big") + body
