"""The PROXY protocol's binary header."""

from __future__ import annotations

from meshdojo.kubelet.runner.proxy_protocol import header


def test_ipv4() -> None:
    assert header(("127.64.1.5", 40000), ("127.200.0.7", 80)) == (
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([127, 64, 1, 5, 127, 200, 0, 7]) + b"\x9c\x40\x00\x50"
    )


def test_an_ipv6_destination_maps_the_source() -> None:
    data = header(("127.64.1.5", 1), ("2001:db8::1", 443))
    assert data[12:16] == b"\x21\x21\x00\x24"
    assert data[16:32] == bytes(10) + b"\xff\xff" + bytes([127, 64, 1, 5])
    assert data[32:48].hex() == "20010db8000000000000000000000001"
    assert data[48:] == b"\x00\x01\x01\xbb"
