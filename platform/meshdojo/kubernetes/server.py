"""Serving the API over TLS with uvicorn, inside a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from uvicorn import Config
from uvicorn import Server as UvicornServer

from meshdojo.cluster import tlsbuffers
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.http.app import App
from meshdojo.kubernetes.node import Node

GRACE_SECONDS = 2


class _Server(UvicornServer):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the program, not to a part of it."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    listening: asyncio.Event


class Server:
    """The API server. `start` returns when it listens; `stop` when it has let go of every connection."""

    def __init__(
        self,
        api: Api,
        node: Node,
        *,
        host: str,
        port: int,
        certificate: Path,
        key: Path,
    ) -> None:
        """`certificate` and `key` are PEM files. `port` 0: a free one, see `port` after `start`."""
        tlsbuffers.shrink()
        api.use_node(node)
        self._app = App(api, node)
        self._address = (host, port)
        config = Config(
            self._app,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            http="httptools",
            ws="wsproto",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=90,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._address[1]

    async def start(self, listener: socket.socket | None = None) -> None:
        """Listen, on `listener` if one was bound already. Raises OSError when the address cannot be had."""
        listener = listener or _listen(self._address)
        self._address = listener.getsockname()[:2]
        self._server.listening = asyncio.Event()
        self._task = asyncio.create_task(self._server.serve([listener]), name="kubernetes API server")
        waiting = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """End the watches, wait for running requests (2 s at most), close."""
        self._server.should_exit = True
        await self._app.close()
        if self._task is not None:
            await self._task
        # Whoever does not read what was written for them: uvicorn has given up waiting, and left them as they are.
        for connection in tuple(self._server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)


def _listen(address: tuple[str, int]) -> socket.socket:
    # asyncio turns Nagle's delay (40 ms per answer) off only for sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
