"""The protobuf wire format: bytes in, (field number, value) out.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """These bytes are no protobuf message."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field: an int for varints, the bytes for everything else. Raises WireError."""
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = read_varint(message, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = read_varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise WireError(f"wire type {kind} of field {number} is unknown")
        if position + size > len(message):
            raise WireError(f"field {number} is longer than its message")
        yield number, message[position : position + size]
        position += size


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """(the number at `position`, the position after it). Raises WireError."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise WireError("a number does not end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, position


def signed(value: int) -> int:
    """A varint as the signed 64 bit number that int32 and int64 fields hold."""
    return value - (1 << 64) if value >= 1 << 63 else value
