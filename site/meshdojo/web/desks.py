"""What a member's own meshdojo hears: the desk in the room.

The whole of it is told at every change (there is little of it), so that a line that breaks and comes back leaves
nothing to repair. What is the same for everybody (the *board*: the workshop and what was said) is read once for all.

A screen that is shared passes through here and is kept nowhere: topic ``screen:MEMBER``. Whoever looks says so on
``member:MEMBER`` again and again; the member is told as long as somebody does, and for `WATCH_SECONDS` after.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from meshdojo.web.bus import GAP, Event
from meshdojo.web.database import Database
from meshdojo.web.meanwhile import meanwhile
from meshdojo.web.members import MemberFacts, Members
from meshdojo.web.workshops import MessageFacts, RequestFacts, WorkshopFacts, Workshops

PRESENCE_SECONDS = 10.0
GATHER_SECONDS = 0.05
WATCH_SECONDS = 15.0
WATCH_AGAIN_SECONDS = 5.0
KEEP_ALIVE = 15.0
MESSAGES = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Board:
    """What is the same for every member."""

    workshop: WorkshopFacts
    messages: tuple[MessageFacts, ...]


@dataclass(frozen=True)
class Desk:
    """What one member is told. `watcher` is who looks at their screen now ('' for nobody).

    `looks` grows when somebody begins to look: then they need the screen as it is, not only what follows.
    """

    board: Board
    requests: tuple[RequestFacts, ...]
    watcher: str
    looks: int


class Desks:
    """The desks of members that are connected to this process."""

    def __init__(self, database: Database, workshops: Workshops, members: Members, stopped: asyncio.Event) -> None:
        self._database = database
        self._workshops = workshops
        self._members = members
        self._boards: dict[int, tuple[int, Board]] = {}
        self._reading = asyncio.Lock()
        self._connected: dict[int, int] = {}
        self._arrived: set[int] = set()
        self._arrival = asyncio.Event()
        self.stopped = stopped

    async def board(self, workshop: int) -> Board | None:
        """The board, as of the last event that this process heard of."""
        topic = f"workshop:{workshop}"
        if board := self._known(workshop):
            return board
        async with self._reading:
            if board := self._known(workshop):
                return board
            told = self._database.bus.told(topic)
            facts = await self._workshops.get(workshop)
            if facts is None:
                return None
            board = Board(facts, tuple((await self._workshops.messages(workshop))[:MESSAGES]))
            self._boards[workshop] = (told, board)
            return board

    def _known(self, workshop: int) -> Board | None:
        told, board = self._boards.get(workshop, (-1, None))
        return board if told == self._database.bus.told(f"workshop:{workshop}") else None

    async def follow(self, member: MemberFacts) -> AsyncIterator[Desk | None]:
        """The desk, now and whenever it changes; None when nothing did for a while. Ends when they are no member."""
        bus = self._database.bus
        with bus.subscribe(f"workshop:{member.workshop}") as all_hear, bus.subscribe(f"member:{member.id}") as own:
            told: Desk | None = None
            watch = _Watch()
            requests = await self._members.asked(member.id)
            while requests is not None and not self.stopped.is_set():
                events = own.take()
                watch.hear(events)
                if any(event.kind in ("request", "left", GAP) for event in events):
                    requests = await self._members.asked(member.id)
                all_hear.take()
                board = await self.board(member.workshop)
                if board is None or requests is None:
                    return
                desk = Desk(board, tuple(requests), watch.watcher, watch.looks)
                yield desk if desk != told else None
                told = desk
                await first_of(self.stopped, all_hear.changed, own.changed, seconds=watch.left or KEEP_ALIVE)

    @asynccontextmanager
    async def connected(self, member: int) -> AsyncIterator[None]:
        """The member's meshdojo is there as long as the block lasts."""
        self._connected[member] = self._connected.get(member, 0) + 1
        self._arrived.add(member)
        self._arrival.set()
        try:
            yield
        finally:
            self._connected[member] -= 1
            if not self._connected[member]:
                del self._connected[member]

    def keeping_presence(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile note again and again who is there."""
        return meanwhile(self._note_presence, "presence")

    async def _note_presence(self) -> None:
        """Everybody now and then, and who has just come at once: a room that comes together is one transaction."""
        loop = asyncio.get_running_loop()
        again = loop.time() + PRESENCE_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(again):
                    await self._arrival.wait()
                    await asyncio.sleep(GATHER_SECONDS)
            everybody = loop.time() >= again
            again = loop.time() + PRESENCE_SECONDS if everybody else again
            present = list(self._connected) if everybody else list(self._arrived & self._connected.keys())
            self._arrived.clear()
            self._arrival.clear()
            try:
                await self._members.present(present)
            except Exception:
                log.exception("who is there could not be noted; it is tried again")

    async def show(self, member: int, screen: dict[str, object]) -> None:
        """Pass a piece of a member's screen on to whoever looks."""
        await self._database.bus.publish(Event(f"screen:{member}", "screen", dict(screen)))

    async def look(self, member: int, watcher: str) -> AsyncIterator[Event | None]:
        """The pieces of a member's screen, as they come; None now and then. The member is told who looks."""
        with self._database.bus.subscribe(f"screen:{member}") as subscription:
            # 'fresh' asks for the screen as it is: whoever comes second must not start with a blank one.
            fresh = True
            while not self.stopped.is_set():
                data = {"watcher": watcher, "fresh": fresh}
                await self._database.bus.publish(Event(f"member:{member}", "watch", data))
                fresh = False
                again = asyncio.get_running_loop().time() + WATCH_AGAIN_SECONDS
                yield None
                while asyncio.get_running_loop().time() < again and not self.stopped.is_set():
                    left = again - asyncio.get_running_loop().time()
                    await first_of(self.stopped, subscription.changed, seconds=max(left, 0.0))
                    for event in subscription.take():
                        yield event


class _Watch:
    """Who looks at a member's screen, as far as was heard lately."""

    def __init__(self) -> None:
        self.looks = 0
        self._watcher = ""
        self._until = 0.0

    def hear(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == "watch":
                self.looks += bool(event.data.get("fresh"))
                self._watcher = str(event.data.get("watcher", ""))
                self._until = asyncio.get_running_loop().time() + WATCH_SECONDS

    @property
    def left(self) -> float:
        """Seconds until they are taken to be gone; 0.0 when nobody looks."""
        return max(0.0, self._until - asyncio.get_running_loop().time())

    @property
    def watcher(self) -> str:
        return self._watcher if self.left else ""


async def first_of(*events: asyncio.Event, seconds: float) -> bool:
    """Wait until one of the events is set, or for so long; whether one is."""
    if any(event.is_set() for event in events):
        return True
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return any(event.is_set() for event in events)
