"""exec over WebSockets, against a server that speaks v5 or v4."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web

from meshdojo.cluster.errors import StatusError, Unreachable

if TYPE_CHECKING:
    from tests.cluster.conftest import Handler, Server

pytestmark = pytest.mark.anyio
EXEC = "/api/v1/namespaces/default/pods/web/exec"
SUCCESS = {"status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": "no", "details": {"causes": causes}}


def cat(protocol: str = "v5.channel.k8s.io", status: dict[str, Any] = SUCCESS) -> Handler:
    """A process that prints its stdin to stdout (when there is one), a word to stderr, and ends with `status`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(protocol,))
        await socket.prepare(request)
        received = b""
        while request.query.get("stdin") and (message := await socket.receive()).type == WSMsgType.BINARY:
            if message.data == b"\xff\x00":
                break
            assert message.data[0] == 0
            received += message.data[1:]
            if protocol.startswith("v4"):
                break
        for start in range(0, len(received), 1000):
            await socket.send_bytes(b"\x01" + received[start : start + 1000])
        await socket.send_bytes(b"\x02oops")
        await socket.send_bytes(b"\x03" + json.dumps(status).encode())
        await socket.close()
        return socket

    return handler


async def test_output_and_exit_code(server: Server) -> None:
    server.handle("GET", EXEC, cat(status=exit_status(3)))
    async with server.client() as client:
        result = await client.exec("default", "web", ["cat", "-"], "app", b"x" * 100_000)
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"x" * 100_000, b"oops")
    assert server.calls[0].query["container"] == "app"


async def test_success_without_stdin(server: Server) -> None:
    server.handle("GET", EXEC, cat())
    async with server.client() as client:
        result = await client.exec("default", "web", ["true"])
    assert (result.exit_code, result.stdout) == (0, b"")
    assert "stdin" not in server.calls[0].query


async def test_an_older_server_speaks_v4(server: Server) -> None:
    server.handle("GET", EXEC, cat("v4.channel.k8s.io"))
    async with server.client() as client:
        result = await client.exec("default", "web", ["cat"], stdin=b"hello")
    assert (result.exit_code, result.stdout) == (0, b"hello")


async def test_a_command_that_cannot_be_started(server: Server) -> None:
    words = 'exec: "nosuch": executable file not found in $PATH'
    status = {"status": "Failure", "reason": "InternalError", "message": words, "code": 500}
    server.handle("GET", EXEC, cat(status=status))
    async with server.client() as client:
        with pytest.raises(StatusError, match="executable file not found") as caught:
            await client.exec("default", "web", ["nosuch"])
    assert caught.value.code == 500


async def test_a_pod_that_is_not_there(server: Server) -> None:
    message = 'pods "web" not found'
    server.answer("GET", EXEC, {"kind": "Status", "code": 404, "reason": "NotFound", "message": message}, 404)
    async with server.client() as client:
        with pytest.raises(StatusError, match=r'^pods "web" not found$') as caught:
            await client.exec("default", "web", ["true"])
    assert (caught.value.code, caught.value.reason) == (404, "NotFound")


async def test_a_command_that_takes_too_long(server: Server) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await socket.receive()
        return socket

    server.handle("GET", EXEC, hang)
    async with server.client() as client:
        with pytest.raises(Unreachable, match=r"sleep in pod default/web did not end within 0.05 s"):
            await client.exec("default", "web", ["sleep", "1000"], seconds=0.05)


async def test_a_stream_that_breaks_off(server: Server) -> None:
    async def stop(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"\x01half")
        await socket.close()
        return socket

    server.handle("GET", EXEC, stop)
    async with server.client() as client, asyncio.timeout(10):
        with pytest.raises(Unreachable, match="closed before the command ended"):
            await client.exec("default", "web", ["cat"])
