"""The blocking client of ``network.sock``: one JSON line each way (the server is `meshdojo.kubelet.resolver`)."""

from __future__ import annotations

import _socket
import contextlib
import json
import os
import threading
from typing import Any

# The raw type: never wrapped, and cheaper.
_Socket = _socket.socket
TIMEOUT_SECONDS = 5.0


class ResolverClient:
    """A lasting connection to the resolver, shared by the threads of a process and made anew after a fork."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._socket: _socket.socket | None = None
        self._owner = 0

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to `question`. Raises OSError when the resolver does not answer."""
        line = json.dumps(question).encode() + b"\n"
        if not self._lock.acquire(timeout=TIMEOUT_SECONDS):
            raise TimeoutError("the resolver does not answer")
        try:
            answer: dict[str, Any] = json.loads(self._exchange(line))
        finally:
            self._lock.release()
        return answer

    def _exchange(self, line: bytes) -> bytes:
        if self._socket is not None and self._owner == os.getpid():
            with contextlib.suppress(OSError):
                return self._send(self._socket, line)
        return self._send(self._connect(), line)

    def _send(self, connection: _Socket, line: bytes) -> bytes:
        """One question and its answer. A connection that failed is closed: what comes late is not the next answer."""
        self._socket = None
        try:
            answer = _send(connection, line)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        return answer

    def _connect(self) -> _socket.socket:
        connection = _Socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(self._path)
        self._owner = os.getpid()
        return connection

    def after_fork(self) -> None:
        """In the child: neither the parent's connection nor its lock is ours."""
        self._lock = threading.Lock()
        self._socket = None


def _send(connection: _socket.socket, line: bytes) -> bytes:
    connection.sendall(line)
    answer = b""
    while not answer.endswith(b"\n"):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError("the resolver closed the connection")
        answer += piece
    return answer
