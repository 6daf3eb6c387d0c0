"""The program that serves node ports: ``python -m meshdojo.kubelet.nodeproxy NODE_IP``.

Standard input tells the table, one JSON line for each state of it: ``{"30080": [["127.64.1.5", 8080], ...], ...}``
(other lines mean nothing).
A port listens while one of its backends does, so that clients are refused where kube-proxy would refuse them. Resets
and half-closed connections pass through. The program ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import struct
import sys

from meshdojo.kubelet.listening import listening

log = logging.getLogger("nodeproxy")

Backend = tuple[str, int]
_CHECK_SECONDS = 0.1
_CONNECT_SECONDS = 5.0
_RESET = struct.pack("ii", 1, 0)
_CHUNK_LIMIT = 256 * 1024


class End(asyncio.Protocol):
    """One end of a proxied connection: what arrives here leaves at the `other` end."""

    def __init__(self, backends: list[Backend] | None = None, source: str = "") -> None:
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self._backends = backends
        self._source = source
        self._ended = False
        self._early = bytearray()

    def itself(self) -> End:
        """The factory that asyncio asks for."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_CHUNK_LIMIT)
        if self._backends is not None:
            transport.pause_reading()
            task = asyncio.ensure_future(self._join(self._backends))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    async def _join(self, backends: list[Backend]) -> None:
        """Connect to a backend, any that answers, and let the data flow."""
        loop = asyncio.get_running_loop()
        for address, port in random.sample(backends, len(backends)):
            other = End()
            other.other = self
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.create_connection(other.itself, address, port, local_addr=(self._source, 0))
            except (OSError, TimeoutError):
                continue
            self._begin(other)
            return
        self.reset()

    def _begin(self, other: End) -> None:
        self.other = other
        if self.transport is None or self.transport.is_closing() or other.transport is None:
            other.reset()
            return
        other.transport.write(bytes(self._early))
        if self._ended:
            other.transport.write_eof()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            # Before Python 3.11.4 a transport that is paused as it is made reads once all the same.
            self._early += data
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        other = self.other
        if other is None:
            return True  # told to the backend as soon as there is one
        if other.transport is None or other.transport.is_closing():
            return False
        if other._ended:
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is None:
            return
        if isinstance(exc, ConnectionResetError):
            self.other.reset()
        elif self.other.transport is not None:
            self.other.transport.close()

    def reset(self) -> None:
        """Close with a reset, as the other side did."""
        if self.transport is None or self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()


_tasks: set[asyncio.Task[None]] = set()


class NodeProxy:
    """Listens on the node's ports, as the table and the backends' own listening say."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._table: dict[int, list[Backend]] = {}
        self._live: dict[int, list[Backend]] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._busy: set[int] = set()

    async def run(self) -> None:
        """Serve until standard input ends."""
        reader = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        line = asyncio.ensure_future(reader.readline())
        while True:
            await asyncio.wait({line}, timeout=_CHECK_SECONDS if self._table else None)
            if line.done():
                if not line.result():
                    return
                self._learn(line.result())
                line = asyncio.ensure_future(reader.readline())
            await self._adjust()

    def _learn(self, line: bytes) -> None:
        try:
            table = json.loads(line)
        except ValueError:  # cut off: whoever wrote it was killed; another begins with a line of its own
            return
        self._table = {int(port): [(ip, number) for ip, number in ends] for port, ends in table.items()}

    async def _adjust(self) -> None:
        there = listening()
        self._live = {
            port: [backend for backend in backends if there is None or backend in there]
            for port, backends in self._table.items()
        }
        wanted = {port for port, backends in self._live.items() if backends}
        for port in self._servers.keys() - wanted:
            self._servers.pop(port).close()
        for port in wanted - self._servers.keys():
            await self._listen(port)

    async def _listen(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._servers[port] = await loop.create_server(
                lambda: End(self._live.get(port, []), self._address), self._address, port, backlog=1024
            )
            self._busy.discard(port)
        except OSError as error:
            if port not in self._busy:
                self._busy.add(port)
                log.error("node port %s:%d cannot be served: %s", self._address, port, error.strerror)


def main() -> None:
    """The program."""
    logging.basicConfig(level=logging.INFO, format="nodeproxy: %(message)s")
    asyncio.run(NodeProxy(sys.argv[1]).run())


if __name__ == "__main__":
    main()
