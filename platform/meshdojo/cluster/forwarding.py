"""One question to a port of a pod, over a port-forward: an HTTP GET that seems to come from the pod itself.

The WebSocket subprotocol ``v4.channel.k8s.io`` of port-forward, as the Python client of Kubernetes speaks it: channel 0
carries the data, channel 1 what goes wrong; the first message on each is the port. Nothing tells the other side's end
but the answer itself, so that it has to be parsed. Source: k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import httptools

from meshdojo.cluster.errors import StatusError, Unreachable

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse

CHANNELS = "v4.channel.k8s.io"
DATA, ERROR = range(2)
PORT_BYTES = 2
CLOSE_SECONDS = 0.02  # containerd takes a second to say goodbye, and has nothing to say any more
WhyRefused = Callable[[int], Awaitable[StatusError]]


class _Answer:
    """An HTTP answer as it comes in; the names are those that httptools calls."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self.done = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.done = True

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def body(self) -> bytes:
        return bytes(self._body)


async def get(
    session: ClientSession, url: str, headers: Mapping[str, str], port: int, path: str, why_refused: WhyRefused
) -> bytes:
    """The body of the answer to ``GET path`` at a port of the pod whose port-forward is served at `url`.

    Raises StatusError (the status of the pod's own answer, when that is no 2xx), Unreachable.
    """
    from aiohttp import ClientWSTimeout, WSServerHandshakeError

    # The API server would refuse a stream to who accepts nothing but JSON.
    headers = {**headers, "Accept": "*/*"}
    query = {"ports": str(port)}
    try:
        async with session.ws_connect(
            url,
            params=query,
            headers=headers,
            protocols=(CHANNELS,),
            max_msg_size=0,
            timeout=ClientWSTimeout(ws_close=CLOSE_SECONDS),
        ) as socket:
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            await socket.send_bytes(bytes([DATA]) + request.encode())
            answer = await _answer(socket, port)
    except WSServerHandshakeError as error:
        raise await why_refused(error.status) from error
    if not 200 <= answer.status < 300:
        raise StatusError(answer.status, "", answer.body[:500].decode(errors="replace").strip())
    return answer.body


async def _answer(socket: ClientWebSocketResponse, port: int) -> _Answer:
    """Raises Unreachable when the connection ends before the answer does."""
    answer, announced, said = _Answer(), set[int](), bytearray()
    async for message in socket:
        channel, data = message.data[0], message.data[1:]
        if channel not in announced:
            announced.add(channel)
            data = data[PORT_BYTES:]
        if channel == ERROR:
            said += data
        elif data:
            try:
                answer.feed(data)
            except httptools.HttpParserError as error:
                raise Unreachable(f"port {port} of the pod does not speak HTTP: {error}") from error
        if answer.done:
            return answer
        if said:
            break
    why = said.decode(errors="replace").strip() or "the connection was closed before the answer ended"
    raise Unreachable(f"port {port} of the pod does not answer: {why}")
