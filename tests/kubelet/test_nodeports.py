"""Node ports: what clients outside the cluster reach."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshdojo.network import Block

Start = Callable[..., AbstractAsyncContextManager[Any]]
PORT = 30080
WEB = {"image": "test/server:1", "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, however the other side ended it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def opened(address: str, port: int, *, listening: bool) -> None:
    """Wait until the port listens, or no longer does."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                if not listening:
                    return
            else:
                await closed(writer)
                if listening:
                    return
            await asyncio.sleep(0.02)


async def service(it: Any) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": PORT}]
    await it.apply("Service", "web", spec={"type": "NodePort", "selector": {"app": "web"}, "ports": ports})


def test_a_node_port_is_served_while_a_backend_listens(start: Start, block: Block) -> None:
    async def scenario() -> None:
        async with start() as it:
            await service(it)
            await opened(str(block.node), PORT, listening=False)
            await it.pod("web", WEB)
            await opened(str(block.node), PORT, listening=True)
            reader, writer = await asyncio.open_connection(str(block.node), PORT)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            writer.write_eof()
            assert (await reader.read()).startswith(b"HTTP/1.0 200")
            await closed(writer)
            assert f"{block.node} - - " in await it.logs("web")
            await it.api.delete("pods", "web", "default")
            await opened(str(block.node), PORT, listening=False)

    asyncio.run(scenario())


def test_a_reset_passes_through_as_a_reset(start: Start, block: Block) -> None:
    code = (
        "import socket, struct\n"
        "server = socket.create_server(('', 8080))\n"
        "while True:\n"
        "    connection, _ = server.accept()\n"
        "    if connection.recv(100):\n"
        "        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "    connection.close()\n"
    )

    async def scenario() -> None:
        async with start() as it:
            await service(it)
            await it.pod("web", {"command": ["python", "-c", code], "readinessProbe": {"tcpSocket": {"port": 8080}}})
            await opened(str(block.node), PORT, listening=True)
            reader, writer = await asyncio.open_connection(str(block.node), PORT)
            writer.write(b"hello")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            await closed(writer)

    asyncio.run(scenario())


def test_it_follows_its_own_loss(start: Start, block: Block) -> None:
    """When somebody kills the proxy, it comes back."""

    async def scenario() -> None:
        async with start() as it:
            await service(it)
            await it.pod("web", WEB)
            await opened(str(block.node), PORT, listening=True)
            before = it.kubelet.node_ports.process
            before.signal(9)
            await before.wait()
            await opened(str(block.node), PORT, listening=True)
            assert it.kubelet.node_ports.process.pid != before.pid

    asyncio.run(scenario())
