"""Events between the parts of a site, and between its processes.

A topic is a plain name ('workshop:7'); an event is a kind and a small dict. Whoever subscribes gets a `Subscription`,
which keeps what it was told until it is asked (`take`). When that becomes too much, or the connection to the other
processes broke, it forgets the details and says so with an event of kind `GAP`: then the subscriber reads the
database again. Events say *what* has changed; what it changed to is in the database (a shared screen is the one
exception: it is kept nowhere).

    Bus          one process: SQLite, a laptop
    PostgresBus  several: NOTIFY within the transaction that made the change, so that nobody hears of it too early or
                 of one that was rolled back; LISTEN on a connection of its own, made anew when it breaks
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

GAP = "gap"
ROOM = 1000
RECONNECT_SECONDS = 1.0
CHANNEL = "meshdojo"
# PostgreSQL refuses a payload of 8000 bytes and more.
PAYLOAD_BYTES = 7900

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something happened: where (`topic`), what (`kind`), and to which things (`data`: JSON values)."""

    topic: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class Subscription:
    """What one listener has been told and not yet taken. `changed` is set while there is something."""

    def __init__(self, topic: str) -> None:
        self.changed = asyncio.Event()
        self._topic = topic
        self._events: deque[Event] = deque()

    def tell(self, event: Event) -> None:
        """Keep an event for the listener."""
        if len(self._events) >= ROOM:
            self._events.clear()
            event = Event(self._topic, GAP)
        self._events.append(event)
        self.changed.set()

    def take(self) -> list[Event]:
        """Everything since the last call."""
        events = list(self._events)
        self._events.clear()
        self.changed.clear()
        return events


class Bus:
    """Events within this process."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._told: Counter[str] = Counter()

    def told(self, topic: str) -> int:
        """How many events of a topic this process has heard of: who finds the same number has missed none."""
        return self._told[topic]

    @contextmanager
    def subscribe(self, topic: str) -> Iterator[Subscription]:
        """Listen to a topic until the block ends."""
        subscription = Subscription(topic)
        self._subscriptions.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            listeners = self._subscriptions[topic]
            listeners.discard(subscription)
            if not listeners:
                del self._subscriptions[topic]

    def deliver(self, event: Event) -> None:
        """Tell this process's listeners."""
        self._told[event.topic] += 1
        for subscription in self._subscriptions.get(event.topic, ()):
            subscription.tell(event)

    async def announce(self, connection: AsyncConnection, events: Iterable[Event]) -> None:
        """Within the transaction on `connection`: have the other processes told when it is committed."""

    async def publish(self, event: Event) -> None:
        """Tell everybody about something that is in no database."""
        self.deliver(event)

    async def start(self) -> None:
        """Begin to hear of other processes."""

    async def close(self) -> None:
        """Stop."""


class PostgresBus(Bus):
    """Events between all processes that use one PostgreSQL database."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self.connected = asyncio.Event()
        self._engine = engine
        # Our own notifications come back to us; this process was told at once.
        self._origin = secrets.token_hex(6)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; returns when the first connection stands or has failed."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._listen(first), name="bus")
        await first.wait()

    async def close(self) -> None:
        """End the connection."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def announce(self, connection: AsyncConnection, events: Iterable[Event]) -> None:
        """NOTIFY on this connection: delivered at its commit."""
        for event in events:
            payload = self._payload(event)
            await connection.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, **payload})

    async def publish(self, event: Event) -> None:
        """Tell everybody, in a transaction of its own."""
        self.deliver(event)
        async with self._engine.begin() as connection:
            await self.announce(connection, [event])

    def _payload(self, event: Event) -> dict[str, str]:
        payload = json.dumps([self._origin, event.topic, event.kind, event.data], separators=(",", ":"))
        if len(payload.encode()) > PAYLOAD_BYTES:
            payload = json.dumps([self._origin, event.topic, GAP, {}])
        return {"payload": payload}

    async def _listen(self, first: asyncio.Event) -> None:
        while True:
            try:
                await self._listen_once(first)
            except Exception as error:
                log.warning("the connection that listens to PostgreSQL broke: %s", str(error).splitlines()[0])
            finally:
                self.connected.clear()
                first.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, first: asyncio.Event) -> None:
        import psycopg

        async with await psycopg.AsyncConnection.connect(_dsn(self._engine.url), autocommit=True) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self.connected.set()
            # What happened while nobody listened is not told again.
            self._gap()
            first.set()
            async for notification in connection.notifies():
                self._hear(notification.payload)

    def _gap(self) -> None:
        for topic in list(self._subscriptions):
            self.deliver(Event(topic, GAP))

    def _hear(self, payload: str) -> None:
        try:
            origin, topic, kind, data = json.loads(payload)
        except ValueError:
            log.warning("a notification on %s is not ours", CHANNEL)
            return
        if origin != self._origin:
            self.deliver(Event(topic, kind, data))


def _dsn(url: URL) -> str:
    """The address of the database in libpq's words."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def bus_for(engine: AsyncEngine) -> Bus:
    """The bus that suits a database."""
    return PostgresBus(engine) if engine.dialect.name == "postgresql" else Bus()
