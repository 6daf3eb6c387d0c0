"""Messages between the kubelet and the zygote: a length, a JSON body, and file descriptors beside them.

Over a Unix stream socket: four bytes of length (big-endian), which carry the descriptors (SCM_RIGHTS), then the body.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
from typing import Any

# What the messages (and the notes in them) mean. A zygote may be older than the kubelet that takes over from another:
# who changes them raises this, and such a zygote is replaced.
PROTOCOL = 1
LENGTH_BYTES = 4
MAXIMUM_DESCRIPTORS = 8
_NOT_INHERITED = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


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
    """The next message of a blocking socket with its descriptors; None at the end of the stream, orderly or not."""
    descriptors = array.array("i")
    try:
        length = _head(connection, descriptors)
        length += _exactly(connection, LENGTH_BYTES - len(length)) if length else b""
        body = _exactly(connection, int.from_bytes(length, "big"))
        if len(length) == LENGTH_BYTES and len(body) == int.from_bytes(length, "big"):
            return json.loads(body), list(descriptors)
    except ConnectionError:  # the other side has left without reading everything
        pass
    for descriptor in descriptors:
        os.close(descriptor)
    return None


def ready(connection: socket.socket, seconds: float) -> bool:
    """Whether something can be read (or the end is there), within so many seconds."""
    poll = select.poll()  # select() knows no descriptors above 1023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _head(connection: socket.socket, descriptors: array.array[int]) -> bytes:
    """The first bytes of a message; the descriptors that come with them are appended."""
    space = socket.CMSG_SPACE(MAXIMUM_DESCRIPTORS * descriptors.itemsize)
    length, ancillary, _, _ = connection.recvmsg(LENGTH_BYTES, space, _NOT_INHERITED)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return length


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)
