"""Messages between the kubelet and the zygote: a length, a JSON body, and file descriptors beside them.

Over a Unix stream socket: four bytes of length (big-endian), which carry the descriptors (SCM_RIGHTS), then the body.
"""

from __future__ import annotations

import array
import json
import socket
from typing import Any

LENGTH_BYTES = 4
MAXIMUM_DESCRIPTORS = 8


def encode(message: dict[str, Any]) -> tuple[bytes, bytes]:
    """(length, body) of a message."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(LENGTH_BYTES, "big"), body


def rights(descriptors: list[int]) -> list[tuple[int, int, bytes]]:
    """The ancillary data that passes `descriptors`."""
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message of a blocking socket with its descriptors; None at the end of the stream."""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(MAXIMUM_DESCRIPTORS * descriptors.itemsize)
    length, ancillary, _, _ = connection.recvmsg(LENGTH_BYTES, space)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    length += _exactly(connection, LENGTH_BYTES - len(length)) if length else b""
    body = _exactly(connection, int.from_bytes(length, "big"))
    if len(length) < LENGTH_BYTES or len(body) < int.from_bytes(length, "big"):
        return None
    return json.loads(body), list(descriptors)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)
