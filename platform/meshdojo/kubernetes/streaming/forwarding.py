"""port-forward: connections to ports of a pod, over one WebSocket.

Two protocols. kubectl tunnels SPDY/3.1 (subprotocol ``SPDY/3.1+portforward.k8s.io``): for each connection one stream
for errors and one for data, tied by a request id. The Python client uses channels: 2i for the data and 2i + 1 for the
errors of the i-th port in the query, the first message on each being the port (little endian, 16 bits).
Source: k8s.io/client-go/tools/portforward, k8s.io/kubelet/pkg/cri/streaming/portforward.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes.streaming import spdy
from meshdojo.kubernetes.streaming.channels import Channels

TUNNEL = "SPDY/3.1+portforward.k8s.io"
CHANNELS = "v4.channel.k8s.io"
PROTOCOLS = (TUNNEL, CHANNELS)
CHUNK_BYTES = 32 * 1024
_QUEUED_FRAMES = 256
_REFUSED, _CANCELLED = 3, 5
_LINGER_SECONDS = 0.2

Connect = Callable[[int], Awaitable[tuple[StreamReader, StreamWriter]]]


@dataclass
class _Connection:
    """One forwarded connection; `incoming` holds what the client sent, None for its end."""

    port: int
    incoming: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_QUEUED_FRAMES))
    closed: bool = False

    async def put(self, data: bytes | None) -> None:
        """Waits while too much is queued; drops what comes after the end."""
        if not self.closed:
            await self.incoming.put(data)

    def close(self) -> None:
        """Nothing more is read; whoever waits in `put` goes on."""
        self.closed = True
        while not self.incoming.empty():
            self.incoming.get_nowait()

    async def pump(self, writer: StreamWriter) -> None:
        """Client to pod."""
        while (data := await self.incoming.get()) is not None:
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _open(connect: Connect, port: int) -> tuple[StreamReader, StreamWriter] | str:
    """The connection, or why there is none."""
    try:
        return await connect(port)
    except StatusError as error:
        return error.message
    except OSError as error:
        return f"failed to connect to localhost:{port} inside the pod: {error.strerror or error}"


async def _close(writer: StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Tunnel:
    """kubectl's port-forward: SPDY through the binary messages of a WebSocket."""

    def __init__(self, channels: Channels, connect: Connect, pod: str) -> None:
        self._channels = channels
        self._connect = connect
        self._pod = pod
        self._decoder = spdy.Decoder()
        self._encoder = spdy.Encoder()
        self._error_streams: dict[str, int] = {}
        self._connections: dict[int, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Until the client goes."""
        try:
            while (message := await self._channels.receive_bytes()) is not None:
                for frame in self._decoder.feed(message):
                    await self._handle(frame)
        except spdy.SPDYError:
            # Without its frames there is no one to tell; closing says it all.
            return
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._channels.close()

    async def _handle(self, frame: spdy.Frame) -> None:
        if frame.kind is None:
            await self._data(frame)
        elif frame.kind == spdy.SYN_STREAM:
            await self._open_stream(frame)
        elif frame.kind == spdy.PING:
            await self._channels.send_bytes(spdy.ping(frame.payload))
        elif frame.kind == spdy.RST_STREAM:
            await self._end(frame.stream)

    async def _data(self, frame: spdy.Frame) -> None:
        connection = self._connections.get(frame.stream)
        if connection is None:
            return
        if frame.payload:
            await connection.put(frame.payload)
        if frame.fin:
            await connection.put(None)

    async def _end(self, stream: int) -> None:
        connection = self._connections.get(stream)
        if connection is not None:
            await connection.put(None)

    async def _open_stream(self, frame: spdy.Frame) -> None:
        request, port = frame.headers.get("requestid", ""), frame.headers.get("port", "")
        kind = frame.headers.get("streamtype")
        if kind not in ("error", "data") or not port.isdecimal() or not 0 < int(port) < 65536:
            await self._channels.send_bytes(spdy.reset(frame.stream, _REFUSED))
            return
        await self._channels.send_bytes(self._encoder.syn_reply(frame.stream))
        if kind == "error":
            self._error_streams[request] = frame.stream
            return
        connection = self._connections[frame.stream] = _Connection(int(port))
        task = asyncio.create_task(self._forward(connection, frame.stream, self._error_streams.pop(request, 0)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, connection: _Connection, data_stream: int, error_stream: int) -> None:
        opened = await _open(self._connect, connection.port)
        if isinstance(opened, str):
            words = f"error forwarding port {connection.port} to pod {self._pod}, uid : {opened}"
            await self._channels.send_bytes(spdy.data(error_stream, words.encode()))
        else:
            await self._copy(connection, data_stream, *opened)
        self._connections.pop(data_stream, None)
        await self._channels.send_bytes(spdy.data(data_stream, b"", fin=True))
        await self._channels.send_bytes(spdy.data(error_stream, b"", fin=True))

    async def _copy(self, connection: _Connection, stream: int, reader: StreamReader, writer: StreamWriter) -> None:
        sending = asyncio.create_task(connection.pump(writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._channels.send_bytes(spdy.data(stream, data))
        except OSError:
            # The pod reset the connection.
            await self._channels.send_bytes(spdy.reset(stream, _CANCELLED))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            connection.close()
            await _close(writer)


class PortChannels:
    """The Python client's port-forward: two channels for each port of the query."""

    def __init__(self, channels: Channels, connect: Connect, ports: list[int]) -> None:
        self._channels = channels
        self._connect = connect
        self._connections = [_Connection(port) for port in ports]

    async def serve(self) -> None:
        """Until the client goes."""
        for index, connection in enumerate(self._connections):
            announcement = struct.pack("<H", connection.port)
            await self._channels.send(2 * index, announcement)
            await self._channels.send(2 * index + 1, announcement)
        tasks = [asyncio.create_task(self._forward(i, c)) for i, c in enumerate(self._connections)]
        try:
            while (message := await self._channels.receive()) is not None:
                channel, data = message
                if channel % 2 == 0 and channel // 2 < len(self._connections):
                    await self._connections[channel // 2].put(data)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._channels.close()

    async def _forward(self, index: int, connection: _Connection) -> None:
        opened = await _open(self._connect, connection.port)
        if isinstance(opened, str):
            await self._channels.send(2 * index + 1, opened.encode())
            return
        reader, writer = opened
        sending = asyncio.create_task(connection.pump(writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._channels.send(2 * index, data)
        except OSError as error:
            await self._channels.send(2 * index + 1, str(error).encode())
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            connection.close()
            await _close(writer)
        if len(self._connections) == 1:
            # The channels have no half-close: the end of the connection is the end of the WebSocket. The Python
            # client then drops what it has not passed on yet, so it gets a moment to do so.
            await asyncio.sleep(_LINGER_SECONDS)
            await self._channels.close()
