"""SQLite as the site's database: how its connections are set up, and that their threads end before the loop does.

Each connection of aiosqlite has a thread, which answers to the event loop. A question that is broken off (its task is
cancelled) goes on in the thread; so does the opening of a connection. An engine that is put away while the thread still
works would leave it an answer for a loop that is gone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# The execution option of a connection that is going to write.
WRITES = "meshdojo_writes"
DRIVER = "sqlite+aiosqlite"


class SQLiteEngine(AsyncEngine):
    """An engine whose `dispose` returns when the threads of all its connections have ended."""

    def __init__(self, url: URL, *, foreign_keys: bool, **pool: Any) -> None:
        self._ends: dict[asyncio.Future[Any], Thread] = {}
        arguments, options = url.get_dialect()().create_connect_args(url)
        super().__init__(
            create_async_engine(
                url, async_creator=partial(self._connect, partial(sqlite3.connect, *arguments, **options)), **pool
            ).sync_engine
        )
        event.listen(self.sync_engine, "connect", partial(_set_up, foreign_keys))
        event.listen(self.sync_engine, "begin", _begin)

    async def _connect(self, connector: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
        return await _Threaded(connector, self._ends)

    async def dispose(self, close: bool = True) -> None:
        """Close what is in the pool, and wait for what was broken off."""
        await super().dispose(close)
        if self._ends:
            await asyncio.wait(self._ends)
        for thread in self._ends.values():
            thread.join()  # it has answered, and does nothing any more that takes time
        self._ends.clear()


class _Threaded(aiosqlite.Connection):
    """A connection that leaves word in `ends` when its thread is told to end: what will be answered, and the thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], ends: dict[asyncio.Future[Any], Thread]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # As SQLAlchemy does for connections that it makes: a process that fails must not wait for them.
        self._thread.daemon = True
        self._ends = ends
        self._end: asyncio.Future[Any] | None = None

    def stop(self) -> asyncio.Future[Any] | None:
        """Once only: a second request would wait for a thread that is no more."""
        if self._end is None:
            self._end = super().stop()
            for end in [end for end, thread in self._ends.items() if not thread.is_alive()]:
                del self._ends[end]
            if self._end is not None:
                self._ends[self._end] = self._thread
        return self._end


def _set_up(foreign_keys: bool, connection: Any, _record: Any) -> None:
    """WAL: readers never wait for a writer, and an acknowledged write survives the death of the process.

    The driver's own idea of transactions is put away: a writer must say so at its BEGIN, since one that began as a
    reader is refused when somebody else wrote meanwhile.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    keys = "ON" if foreign_keys else "OFF"
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"foreign_keys={keys}", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
