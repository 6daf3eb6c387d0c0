"""Terminals of a lab's page: opened and closed by forms, used over a WebSocket.

On the socket, bytes are bytes: what is typed one way, what is printed the other. Text is JSON:

    page   {"resize": [COLUMNS, ROWS]}   the size of its window
           {"run": TEXT}                 a command of the chapter, to be pasted and executed
           {"read": PLACE}               the page has shown everything before this place
    server {"at": PLACE}                 the place of the bytes that follow (at the start, and where some were skipped)
           {"ran": true}, {"busy": NAME} what came of a run: another program has the terminal
           {"exited": CODE}              the shell has ended

A page that comes back after a break says from which place on it wants to see (`from_`), and misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, HTTPException, Query, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import OwnerSession, require_csrf
from meshdojo.web.shells import CHUNK, Follower, Shell, ShellError

# How far the server sends ahead of what the page says it has shown.
WINDOW = 4 * CHUNK
MOST_TYPED = 256 * 1024
GONE = 4404
PASTE = b"\x1b[200~%s\x1b[201~\r"

router = APIRouter(include_in_schema=False)

Cells = Annotated[int, Body(ge=2, le=1000)]


class Opened(BaseModel):
    """A terminal, as the page knows it."""

    id: str
    name: str
    running: bool


def _opened(shell: Shell) -> Opened:
    return Opened(id=shell.id, name=shell.name, running=shell.running)


def _lab(site: CurrentSite, lab: str) -> str:
    if site.chapter(lab) is None:
        raise HTTPException(404, f"There is no lab called {lab[:100]!r}.")
    return lab


CurrentLab = Annotated[str, Depends(_lab)]


@router.get("/labs/{lab}/shells")
async def shells(site: CurrentSite, session: OwnerSession, lab: CurrentLab) -> list[Opened]:
    """The terminals that are open."""
    return [_opened(shell) for shell in site.shells.of(session.learner, lab)]


@router.post("/labs/{lab}/shells", dependencies=[Depends(require_csrf)])
async def open_shell(
    site: CurrentSite, session: OwnerSession, lab: CurrentLab, columns: Cells = 80, rows: Cells = 24
) -> Opened:
    """Open another terminal."""
    try:
        return _opened(await site.shells.open(session.learner, lab, columns, rows))
    except ShellError as error:
        raise HTTPException(409, str(error)) from error


@router.post("/shells/{shell}/close", dependencies=[Depends(require_csrf)], status_code=204)
async def close_shell(site: CurrentSite, session: OwnerSession, shell: str) -> None:
    """End a terminal and all that runs in it."""
    found = site.shells.find(session.learner, shell)
    if found:
        await site.shells.discard(found)


@router.websocket("/shells/{shell}")
async def attach(
    socket: WebSocket,
    site: CurrentSite,
    session: OwnerSession,
    shell: str,
    place: Annotated[int, Query(alias="from", ge=0)] = 0,
) -> None:
    """Show a terminal, from `place` on, and type into it."""
    await socket.accept()
    found = site.shells.find(session.learner, shell)
    if found is None:
        await socket.close(GONE, "this terminal is closed")
        return
    with found.watched(place) as follower:
        shown = _Shown(follower.place)
        sending = asyncio.create_task(_send(socket, found, follower, shown))
        receiving = asyncio.create_task(_receive(socket, found, shown))
        try:
            await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may be closed already
        await socket.close()


class _Shown:
    """How far the page has shown what it was sent."""

    def __init__(self, place: int) -> None:
        self._place = place
        self._moved = asyncio.Event()

    def until(self, place: int) -> None:
        self._place = max(self._place, place)
        self._moved.set()

    async def near(self, place: int) -> None:
        """Wait until the page is not too far behind `place`."""
        while place - self._place > WINDOW:
            self._moved.clear()
            await self._moved.wait()


async def _send(socket: WebSocket, shell: Shell, follower: Follower, shown: _Shown) -> None:
    sent = -1
    async for chunk in shell.follow(follower):
        if chunk.at != sent:
            await _say(socket, {"at": chunk.at})
            shown.until(chunk.at)
        await socket.send_bytes(chunk.data)
        sent = chunk.end
        await shown.near(sent)
    await _say(socket, {"exited": shell.exit_code})


async def _receive(socket: WebSocket, shell: Shell, shown: _Shown) -> None:
    with contextlib.suppress(WebSocketDisconnect, ValueError, TypeError):  # a page that talks nonsense is let go
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if typed := message.get("bytes"):
                shell.write(typed[:MOST_TYPED])
            elif text := message.get("text"):
                await _obey(socket, shell, shown, orjson.loads(text))


async def _obey(socket: WebSocket, shell: Shell, shown: _Shown, wish: dict[str, Any]) -> None:
    if "resize" in wish:
        columns, rows = wish["resize"]
        shell.resize(min(max(int(columns), 2), 1000), min(max(int(rows), 2), 1000))
    elif "read" in wish:
        shown.until(int(wish["read"]))
    elif "run" in wish:
        await _run(socket, shell, str(wish["run"])[:MOST_TYPED])


async def _run(socket: WebSocket, shell: Shell, text: str) -> None:
    """Paste a command at the prompt, as one piece, and execute it; not into another program that has the terminal."""
    if name := shell.foreground():
        await _say(socket, {"busy": name})
        return
    # Ctrl-U first: what was half typed must not become a part of it.
    shell.write(b"\x15" + PASTE % text.strip("\n").replace("\x1b", "").encode())
    await _say(socket, {"ran": True})


async def _say(socket: WebSocket, body: dict[str, Any]) -> None:
    await socket.send_text(orjson.dumps(body).decode())
