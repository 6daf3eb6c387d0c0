"""The threads of SQLite's connections end before the loop does, whatever was broken off."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url, text

from meshdojo.web.sqlite import DRIVER, SQLiteEngine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SQLiteEngine]:
    engine = SQLiteEngine(make_url(f"{DRIVER}:///{tmp_path / 'some.db'}"), foreign_keys=True)
    yield engine
    await engine.dispose()


class Gate:
    """A place where a thread of the database waits until it is let on."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def wait(self, *_arguments: Any) -> int:
        self.reached.set()
        assert self._open.wait(60)
        return 1

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, 60)

    async def holds(self, disposing: asyncio.Task[None]) -> None:
        """The engine is not put away before the thread has been let on."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert not disposing.done()
        self._open.set()
        await disposing


async def ask(engine: SQLiteEngine, question: str) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(question))).scalar_one()


async def test_an_opening_that_is_broken_off_has_ended(engine: SQLiteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(sqlite3, "connect", _behind(gate, sqlite3.connect))
    slow = SQLiteEngine(engine.url, foreign_keys=True)
    asking = asyncio.create_task(ask(slow, "SELECT 1"))
    await gate.until_reached()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await gate.holds(asyncio.create_task(slow.dispose()))


def _behind(gate: Gate, connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    def slow(*arguments: Any, **options: Any) -> sqlite3.Connection:
        gate.wait()
        return connect(*arguments, **options)

    return slow


async def test_a_question_that_is_broken_off_again_and_again_has_ended(engine: SQLiteEngine) -> None:
    gate = Gate()
    event.listen(engine.sync_engine, "connect", lambda each, _record: each.create_function("slow", 0, gate.wait))
    assert await ask(engine, "SELECT 1") == 1
    asking = asyncio.create_task(ask(engine, "SELECT slow()"))
    await gate.until_reached()
    while not asking.done():  # the first ends the question, a second the wait for its connection
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([asking], timeout=0)
    assert asking.cancelled()
    await gate.holds(asyncio.create_task(engine.dispose()))
    assert await ask(engine, "SELECT 2") == 2


async def test_it_is_put_away_twice(engine: SQLiteEngine) -> None:
    assert await ask(engine, "SELECT 1") == 1
    await engine.dispose()
    await engine.dispose()
