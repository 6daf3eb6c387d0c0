"""Streams open a few at a time, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from meshdojo.web.turns import Turns

pytestmark = pytest.mark.anyio


class App:
    """An app whose answers begin and end when they are told to; it counts what has reached it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.first: dict[str, asyncio.Event] = {}
        self.second = asyncio.Event()
        self.end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["query_string"].decode()
        self.begun.append(name)
        if len(self.begun) == 2:
            self.second.set()
        if name == "broken":
            raise RuntimeError("no session")
        await self.first.setdefault(name, asyncio.Event()).wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"state", "more_body": True})
        await self.end.wait()


async def ask(turns: Turns, name: str, path: str = "/live") -> None:
    async def receive() -> Message:
        raise AssertionError("nobody asks for the body")

    async def send(_message: Message) -> None: ...

    scope: dict[str, Any] = {"type": "http", "path": path, "query_string": name.encode()}
    await turns(scope, receive, send)


async def settled() -> None:
    """Everybody has had their turn of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_streams_open_in_order_and_a_few_at_a_time() -> None:
    app = App()
    turns = Turns(app, at_once=2)
    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(ask(turns, name))
        await settled()
        assert app.begun == ["a", "b"]
        app.first["b"].set()  # its state is on its way: the stream goes on, its turn is over
        await settled()
        assert app.begun == ["a", "b", "c"]
        group.create_task(ask(turns, "report", "/api/v1/desk/report"))
        await settled()
        assert app.begun[-1] == "report"  # no stream: it does not wait
        app.end.set()
        for name in ("a", "c", "report"):
            app.first[name].set()
        await settled()
        app.first["d"].set()
    assert app.begun[-1] == "d"


async def test_a_stream_that_fails_gives_its_turn_back() -> None:
    app = App()
    turns = Turns(app, at_once=1)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="no session"):
            await ask(turns, "broken")
    assert app.begun == ["broken"] * 3


async def test_a_stream_that_hangs_keeps_the_others_out_for_a_while_only() -> None:
    app = App()
    turns = Turns(app, at_once=1, longest=0.01)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        hanging = group.create_task(ask(turns, "hangs"))
        other = group.create_task(ask(turns, "other"))
        await app.second.wait()
        assert app.begun == ["hangs", "other"]
        for task in (hanging, other):
            task.cancel()
