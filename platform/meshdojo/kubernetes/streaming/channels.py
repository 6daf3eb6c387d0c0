"""A WebSocket with channels: the first byte of each message says which stream the rest belongs to.

Source: k8s.io/apimachinery/pkg/util/remotecommand (v4.channel.k8s.io, v5.channel.k8s.io).
"""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


class Channels:
    """The accepted WebSocket. What is sent after the client has gone is dropped."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._sending = asyncio.Lock()
        self._gone = False

    async def receive(self) -> tuple[int, bytes] | None:
        """(channel, data) of the next message; None when the client has gone."""
        data = await self.receive_bytes()
        while data == b"":
            data = await self.receive_bytes()
        return None if data is None else (data[0], data[1:])

    async def receive_bytes(self) -> bytes | None:
        """The next message as it is; None when the client has gone."""
        try:
            message = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError):
            message = {"type": "websocket.disconnect"}
        if message["type"] == "websocket.disconnect":
            self._gone = True
            return None
        payload = message.get("bytes")
        return payload if payload is not None else str(message.get("text") or "").encode()

    async def send(self, channel: int, data: bytes) -> None:
        """One message on a channel."""
        await self.send_bytes(bytes([channel]) + data)

    async def send_bytes(self, data: bytes) -> None:
        """One message as it is. Messages of concurrent senders are not mixed."""
        async with self._sending:
            if self._gone:
                return
            try:
                await self._websocket.send_bytes(data)
            except (WebSocketDisconnect, RuntimeError):
                self._gone = True

    async def close(self) -> None:
        """Closes with 1000."""
        async with self._sending:
            if not self._gone:
                self._gone = True
                await self._websocket.close(1000)
