"""Rooms that somebody looks at: the roster of a workshop, kept in memory and current, for every page that shows it.

A `Room` reads the roster once, and then only the members of whom the bus tells. Each change gives the rows concerned
the next version; a page remembers which version it has, and asks for what came after. Several changes that come
together are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from meshdojo.web.bus import GAP, Event, Subscription
from meshdojo.web.database import Database
from meshdojo.web.roster import Column, Roster, Row, columns_of
from meshdojo.web.views import Chapter
from meshdojo.web.workshops import MessageFacts, WorkshopFacts, Workshops

TICK = 15.0
GATHER = 0.02

log = logging.getLogger(__name__)


class Room:
    """One workshop, as it is now. `facts` is None when it was deleted. Rows are in the order of names."""

    def __init__(self, facts: WorkshopFacts) -> None:
        self.facts: WorkshopFacts | None = facts
        self.columns: tuple[Column, ...] = ()
        self.rows: dict[int, Row] = {}
        self.messages: list[MessageFacts] = []
        # Versions of another process, or of another life of this one, mean nothing here.
        self.epoch = secrets.token_hex(4)
        self.version = 0
        self.changed: dict[int, int] = {}
        self.look_again = asyncio.get_running_loop().time() + TICK
        self._watchers: set[asyncio.Event] = set()

    def since(self, epoch: str, version: int) -> list[int]:
        """The members whose rows have changed after a version; those that are gone too."""
        if epoch != self.epoch:
            return list(self.rows)
        return [member for member, changed in self.changed.items() if changed > version]

    def take(self, rows: dict[int, Row], asked: Sequence[int] | None) -> None:
        """Take rows that were read: of the members asked for (None: of all)."""
        self.version += 1
        gone = [member for member in (self.rows if asked is None else asked) if member not in rows]
        for member in gone:
            self.rows.pop(member, None)
        for member, row in rows.items():
            if self.rows.get(member) != row:
                self.changed[member] = self.version
        self.changed |= dict.fromkeys(gone, self.version)
        merged = self.rows | rows
        self.rows = dict(sorted(merged.items(), key=lambda item: (item[1].member.name.casefold(), item[0])))

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """Be woken (the event is set) at each change."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        try:
            yield woken
        finally:
            self._watchers.discard(woken)

    def wake(self) -> None:
        """Tell the watchers."""
        for woken in self._watchers:
            woken.set()


class Rooms:
    """The rooms that somebody in this process looks at."""

    def __init__(
        self, database: Database, workshops: Workshops, roster: Roster, chapters: Callable[[], Sequence[Chapter]]
    ) -> None:
        self._database = database
        self._workshops = workshops
        self._roster = roster
        self._chapters = chapters
        self._open: dict[int, tuple[Room, asyncio.Task[None], int]] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def enter(self, workshop: int) -> AsyncIterator[Room | None]:
        """The room of a workshop, current as long as the block lasts; None when there is no such workshop."""
        room = await self._join(workshop)
        try:
            yield room
        finally:
            if room:
                self._leave(workshop)

    async def _join(self, workshop: int) -> Room | None:
        async with self._opening:
            if workshop in self._open:
                room, task, count = self._open[workshop]
                self._open[workshop] = (room, task, count + 1)
                return room
            facts = await self._workshops.get(workshop)
            if facts is None:
                return None
            room = Room(facts)
            # Listen first and read then: nothing that happens between the two is missed.
            listening = asyncio.Event()
            task = asyncio.create_task(self._keep_current(workshop, room, listening), name=f"room {workshop}")
            await listening.wait()
            await self._read(workshop, room, None)
            self._open[workshop] = (room, task, 1)
            return room

    def _leave(self, workshop: int) -> None:
        room, task, count = self._open[workshop]
        if count > 1:
            self._open[workshop] = (room, task, count - 1)
        else:
            del self._open[workshop]
            task.cancel()

    async def close(self) -> None:
        """Let all go."""
        for room, _, _ in self._open.values():
            room.wake()

    async def _keep_current(self, workshop: int, room: Room, listening: asyncio.Event) -> None:
        with self._database.bus.subscribe(f"room:{workshop}") as subscription:
            listening.set()
            while True:
                try:
                    await self._once(workshop, room, subscription)
                except Exception:
                    log.exception("the room of workshop %d could not be read; it is tried again", workshop)
                    await asyncio.sleep(1)
                    subscription.tell(Event("", GAP))

    async def _once(self, workshop: int, room: Room, subscription: Subscription) -> None:
        """One round: what was told is read; after a while also who is there, as time passes without events."""
        if asyncio.get_running_loop().time() >= room.look_again:
            room.look_again = asyncio.get_running_loop().time() + TICK
            room.take(await self._roster.again(workshop, room.rows), None)
            room.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(room.look_again):
                await subscription.changed.wait()
        if subscription.changed.is_set():
            await asyncio.sleep(GATHER)
            await self._read(workshop, room, _members(subscription.take()))

    async def _read(self, workshop: int, room: Room, members: Sequence[int] | None) -> None:
        """Read the rows of some members, or all there is."""
        if members is None:
            room.facts = await self._workshops.get(workshop)
            room.messages = await self._workshops.messages(workshop)
            room.columns = columns_of(room.facts, self._chapters()) if room.facts else ()
        room.take(await self._roster.rows(workshop, room.columns, members), members)
        room.wake()


def _members(events: Sequence[Event]) -> list[int] | None:
    """The members that events are about; None when one is about the whole room, or nobody knows."""
    if any(event.kind == GAP or "member" not in event.data for event in events):
        return None
    return sorted({int(event.data["member"]) for event in events})
