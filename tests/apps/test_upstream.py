import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fleet.headers import forwarding
from fleet.upstream import Answer, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


class Server:
    """Gives each request the next answer, and keeps what came."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._answers:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self._answers.pop(0).encode())
            await reader.read()  # no answer is left: wait until the caller gives up
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(body: str, status: str = "200 OK", *more: str) -> str:
    headers = "".join(f"{line}\r\n" for line in (f"content-length: {len(body)}", *more))
    return f"HTTP/1.1 {status}\r\n{headers}\r\n{body}"


@asynccontextmanager
async def served(*answers: str) -> AsyncIterator[Server]:
    server = Server(*answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()


async def asked(server: Server, *paths: str, **options: Any) -> list[Answer]:
    upstream = Upstream("staff-service", server.url, **options)
    try:
        return [await upstream.get(path, {"x-fleet-preview": "v2", "x-other": "stays"}) for path in paths]
    finally:
        await upstream.close()


async def test_an_answer_is_status_and_body_and_connections_are_used_again() -> None:
    async with served(answer('{"service": "staff-service"}'), answer('{"error": "no"}', "500 Broken")) as server:
        first, second = await asked(server, "/staff", "/staff/city-truck")
    assert first == Answer("staff-service", 200, {"service": "staff-service"})
    assert first.ok
    assert second == Answer("staff-service", 500, {"error": "no"}, "no")
    assert [request.split(" HTTP/")[0] for request in server.requests] == ["GET /staff", "GET /staff/city-truck"]
    assert server.connections == 1


async def test_the_headers_are_those_that_are_handed_on() -> None:
    async with served(answer("{}"), answer("{}")) as server:
        await asked(server, "/")
        await asked(server, "/", forward=forwarding({"FORWARD_HEADERS": ""}))
    handed_on, none = ({line.split(":")[0].lower() for line in one.splitlines()} for one in server.requests)
    assert "x-fleet-preview" in handed_on
    assert "x-other" not in handed_on
    assert "x-fleet-preview" not in none


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (answer("no healthy upstream", "503 Service Unavailable"), "no healthy upstream"),
        (answer("", "403 Forbidden"), "status 403"),
        (answer("[1]", "200 OK"), "[1]"),
    ],
)
async def test_what_is_not_the_service_s_own_is_an_error(sent: str, error: str) -> None:
    async with served(sent) as server:
        [found] = await asked(server, "/")
    assert not found.ok
    assert error in found.error


async def test_a_redirect_is_an_answer() -> None:
    async with served(answer("", "302 Found", "location: /elsewhere")) as server:
        [found] = await asked(server, "/")
    assert found.status == 302
    assert len(server.requests) == 1


async def test_nobody_there_and_no_answer_have_a_reason() -> None:
    async with served() as server:
        [late] = await asked(server, "/", timeout=0.05)
    [nobody] = await asked(server, "/")
    assert (late.status, late.error) == (0, "no answer within 0.05 s")
    assert (nobody.status, nobody.error) == (0, "Connection refused")


async def test_a_connection_that_breaks_off_has_a_reason() -> None:
    async with served("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort") as server:
        [found] = await asked(server, "/", timeout=0.05)
    assert (found.status, found.ok) == (0, False)
    assert found.error
