"""A GET through a port-forward, against a server that speaks its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from meshdojo.cluster.errors import StatusError, Unreachable

if TYPE_CHECKING:
    from tests.cluster.conftest import Handler, Server

pytestmark = pytest.mark.anyio
FORWARD = "/api/v1/namespaces/istio-system/pods/istiod/portforward"
PORT = (15014).to_bytes(2, "little")


def pod(*answers: bytes, error: bytes = b"", asked: list[bytes] | None = None, closes: bool = False) -> Handler:
    """A pod that answers the first message with these pieces, and (unless it `closes`) never says that it is done."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if "application/json" in request.headers["Accept"]:
            return web.Response(status=406)  # as the API server does
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for channel in (b"\x00", b"\x01"):
            await socket.send_bytes(channel + PORT)
        message = await socket.receive()
        if asked is not None:
            asked.append(message.data)
        for answer in answers:
            await socket.send_bytes(b"\x00" + answer)
        if error:
            await socket.send_bytes(b"\x01" + error)
        if not closes:
            await socket.receive()
        await socket.close()
        return socket

    return handler


async def test_the_answer_in_pieces(server: Server) -> None:
    asked: list[bytes] = []
    pieces = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"c\r\n2\r\nde\r\n",
        b"0\r\n\r\n",
    )
    server.handle("GET", FORWARD, pod(*pieces, asked=asked))
    async with server.client() as client:
        assert await client.pod_get("istio-system", "istiod", 15014, "/debug/syncz") == b"abcde"
    assert server.calls[0].query == {"ports": "15014"}
    assert asked[0].startswith(b"\x00GET /debug/syncz HTTP/1.1\r\nHost: localhost\r\n")


async def test_an_answer_that_is_a_failure(server: Server) -> None:
    server.handle("GET", FORWARD, pod(b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno page"))
    async with server.client() as client:
        with pytest.raises(StatusError, match="no page") as caught:
            await client.pod_get("istio-system", "istiod", 15014, "/debug/nosuch")
    assert caught.value.code == 404


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (
            pod(error=b"connect: connection refused"),
            "port 15014 of the pod does not answer: connect: connection refused",
        ),
        (pod(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", closes=True), "closed before the answer ended"),
        (pod(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP"),
    ],
    ids=["nothing listens", "cut off", "another protocol"],
)
async def test_no_answer(server: Server, handler: Handler, words: str) -> None:
    server.handle("GET", FORWARD, handler)
    async with server.client() as client:
        with pytest.raises(Unreachable, match=words):
            await client.pod_get("istio-system", "istiod", 15014, "/debug/syncz")


async def test_a_pod_that_never_answers(server: Server) -> None:
    server.handle("GET", FORWARD, pod())
    async with server.client() as client:
        with pytest.raises(Unreachable, match=r"port 15014 of pod istio-system/istiod did not answer in 0\.1 s"):
            await client.pod_get("istio-system", "istiod", 15014, "/debug/syncz", seconds=0.1)


async def test_a_pod_that_is_not_there(server: Server) -> None:
    server.answer("GET", FORWARD, {"kind": "Status", "message": 'pods "istiod" not found', "code": 404}, status=404)
    async with server.client() as client:
        with pytest.raises(StatusError, match='pods "istiod" not found'):
            await client.pod_get("istio-system", "istiod", 15014, "/debug/syncz")
