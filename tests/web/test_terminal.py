"""The terminal's protocol, over a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx
import pytest
from starlette.responses import Response
from tests.web.samples import FakeJudge, eventually, lab_shells, served

from meshdojo.web.accounts import Accounts
from meshdojo.web.database import Database, open_engine
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.pages import terminal
from meshdojo.web.sessions import Sessions
from meshdojo.web.settings import Settings
from meshdojo.web.shells import CHUNK

pytestmark = pytest.mark.anyio


@dataclass
class Socket:
    """A page's end of the socket: what it was sent."""

    ws: aiohttp.ClientWebSocketResponse
    printed: bytes = b""
    said: list[dict[str, object]] = field(default_factory=list)
    place: int = 0

    async def until(self, condition: str | bytes) -> None:
        """Read until these bytes were printed, or a message with this key was said."""
        while not self._met(condition):
            async with asyncio.timeout(60):
                message = await self.ws.receive()
            if message.type == aiohttp.WSMsgType.BINARY:
                self.printed += message.data
                self.place += len(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
                self.said.append(said)
                self.place = said.get("at", self.place)
            else:
                raise AssertionError(f"closed with {self.ws.close_code}, having printed {self.printed!r}")

    def _met(self, condition: str | bytes) -> bool:
        if isinstance(condition, bytes):
            return condition in self.printed
        return any(condition in said for said in self.said)

    async def prompt(self) -> None:
        await self.until(b"\x1b[?2004h")  # bash asks for pastes to be marked when it is ready for a command


@asynccontextmanager
async def connected(
    settings: Settings, client: httpx.AsyncClient, shell: str, place: int = 0, origin: str | None = "own"
) -> AsyncIterator[Socket]:
    headers = {} if origin is None else {"Origin": settings.url if origin == "own" else origin}
    if client.cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = f"{settings.url}/shells/{shell}?from={place}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=headers) as ws:
        yield Socket(ws)


async def csrf(client: httpx.AsyncClient) -> dict[str, str]:
    page = (await client.get("/")).text
    return {"X-CSRF-Token": page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]}


async def opened(client: httpx.AsyncClient, lab: str = "split") -> str:
    answer = await client.post(f"/labs/{lab}/shells", json={"columns": 90, "rows": 20}, headers=await csrf(client))
    assert answer.status_code == 200, answer.text
    identity: str = answer.json()["id"]
    return identity


async def test_type_run_break_and_come_back(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        shell = await opened(client)
        async with connected(settings, client, shell) as socket:
            await socket.prompt()
            await socket.ws.send_bytes(b"echo ty''ped\r")
            await socket.until(b"typed")
            await socket.ws.send_json({"run": "cat <<'X'\nfirst li''ne\nsecond $(echo line)\nX\n"})
            await socket.until("ran")
            await socket.until(b"second $(echo line)\r\n")
            place = socket.place
        async with connected(settings, client, shell) as meanwhile:
            await meanwhile.until(b"typed")  # a new page sees all
            await meanwhile.ws.send_bytes(b"echo with''out you\r")
            await meanwhile.until(b"without you")
        async with connected(settings, client, shell, place) as back:
            await back.until(b"without you")
            assert b"typed" not in back.printed
            assert back.said[0] == {"at": place}
        assert (await client.get("/labs/split/shells")).json() == [{"id": shell, "name": "Terminal 1", "running": True}]


async def test_a_command_is_not_typed_into_another_program(settings: Settings, judge: FakeJudge) -> None:
    shells = lab_shells(settings)
    async with served(settings, judge, shells) as client:
        shell = await opened(client)
        found = shells.find(LOCAL_LEARNER, shell)
        assert found
        async with connected(settings, client, shell) as socket:
            await socket.prompt()
            await socket.ws.send_bytes(b"cat\r")
            await eventually(lambda: found.foreground() == "cat")
            await socket.ws.send_json({"run": "echo no"})
            await socket.until("busy")
            assert socket.said[-1] == {"busy": "cat"}
            assert b"echo no" not in socket.printed


async def test_the_page_sets_the_pace(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        shell = await opened(client)
        async with connected(settings, client, shell) as socket:
            await socket.prompt()
            await socket.ws.send_bytes(b"head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo do''ne\r")
            await socket.until(b"x" * 1000)
            while b"done" not in socket.printed[-300:]:
                before = socket.place
                await socket.ws.send_json({"read": socket.place})
                while socket.place == before:
                    message = await asyncio.wait_for(socket.ws.receive(), 60)
                    if message.type == aiohttp.WSMsgType.BINARY:
                        socket.printed += message.data
                        socket.place += len(message.data)
            assert socket.printed.count(b"x") >= 3_000_000


async def test_a_page_that_reads_nothing_is_sent_no_more_than_a_window(settings: Settings, judge: FakeJudge) -> None:
    shells = lab_shells(settings)
    async with served(settings, judge, shells) as client:
        shell = await opened(client)
        found = shells.find(LOCAL_LEARNER, shell)
        assert found
        async with connected(settings, client, shell) as socket:
            await socket.prompt()
            await socket.ws.send_bytes(b"yes\r")
            await eventually(lambda: found.behind)
            received = 0
            while True:
                try:
                    message = await socket.ws.receive(timeout=0.5)
                except TimeoutError:
                    break
                received += len(message.data)
            assert received <= terminal.WINDOW + 2 * CHUNK
            await socket.ws.send_bytes(b"\x03")  # and Ctrl-C is heard all the same
            await eventually(lambda: not found.foreground())


async def test_the_end_is_told_and_a_closed_terminal_is_gone(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        shell = await opened(client)
        async with connected(settings, client, shell) as socket:
            await socket.prompt()
            await socket.ws.send_bytes(b"exit 4\r")
            await socket.until("exited")
            assert socket.said[-1] == {"exited": 4}
        assert (await client.post(f"/shells/{shell}/close", headers=await csrf(client))).status_code == 204
        async with connected(settings, client, shell) as gone:
            await gone.ws.receive()
            assert gone.ws.close_code == terminal.GONE


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
async def test_another_site_gets_no_terminal(settings: Settings, judge: FakeJudge, origin: str | None) -> None:
    async with served(settings, judge) as client:
        shell = await opened(client)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(settings, client, shell, origin=origin):
                pass
        assert refused.value.status == 403


async def enter_as_somebody_else(settings: Settings, client: httpx.AsyncClient) -> None:
    """Sign a learner in who is not the owner."""
    database = Database(open_engine(settings.database))
    accounts = Accounts(database)
    guest = await accounts.sign_in("https://issuer.example", "4711", "Guest", None)
    answer = Response()
    await Sessions(settings, database, accounts).start(answer, guest.id)
    name, value = answer.headers["set-cookie"].split(";")[0].split("=", 1)
    client.cookies.set(name, value)
    await database.engine.dispose()


async def test_nobody_else_gets_one(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        shell = await opened(client)
        client.cookies.clear()
        with pytest.raises(aiohttp.WSServerHandshakeError) as stranger:
            async with connected(settings, client, shell):
                pass
        assert stranger.value.status == 403

        await enter_as_somebody_else(settings, client)
        with pytest.raises(aiohttp.WSServerHandshakeError) as guest:
            async with connected(settings, client, shell):
                pass
        assert guest.value.status == 403
        assert (await client.get("/labs/split/shells")).status_code == 403
        assert "data-open-terminal" not in (await client.get("/labs/split")).text


async def test_an_unknown_lab_has_no_terminals(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        assert (await client.post("/labs/nope/shells", json={}, headers=await csrf(client))).status_code == 404
        assert (await client.post("/labs/split/shells", json={})).status_code == 403  # no CSRF token
