"""The owner of this machine takes part in a workshop elsewhere: this keeps the workshop's site informed.

It reports every attempt and how the mesh is; it hears what the instructor says (`attendance`, which the pages show);
and if the owner allows it, and as long as somebody looks, it shows what the terminals print. What the instructor asks
for is done here only when the owner agrees. Nothing is lost when a line breaks or a process dies: attempts are in the
database, and are sent until the other side has said that it has them.

The checks of the lab that was opened last go on as long as the workshop does, whether a page is open or not: who works
in a terminal of their own, or has closed the window, would be stuck for the room though they have passed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Protocol

import httpx

from meshdojo.errors import UserError
from meshdojo.web.bus import Subscription
from meshdojo.web.database import Database
from meshdojo.web.desks import first_of
from meshdojo.web.live import Hub
from meshdojo.web.memberships import TOPIC, Membership, Memberships
from meshdojo.web.models import LOCAL_LEARNER

LOOK_SECONDS = 2.0
STATUS_SECONDS = 15.0
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)
BATCH = 100
# The other side says something at least every 15 seconds.
SILENCE_SECONDS = 45.0
# Rooms overrun, and learners forget to leave: so long after its end a workshop is taken to be over.
OVERTIME = timedelta(hours=12)
SCREEN_SECONDS = 0.2
SCREEN_BYTES = 32 * 1024

log = logging.getLogger(__name__)


class Piece(Protocol):
    """A piece of what a terminal has printed, and the places where it begins and ends."""

    @property
    def at(self) -> int:
        """The place of its first byte."""
        ...

    @property
    def data(self) -> bytes:
        """The bytes."""
        ...

    @property
    def end(self) -> int:
        """The place behind its last byte."""
        ...


class Printed(Protocol):
    """What a terminal has printed, each byte known by its place."""

    @property
    def end(self) -> int:
        """The place behind the last byte that was printed."""
        ...

    def since(self, place: int, most: int) -> Piece:
        """At most so many bytes from a place on; from a later one where the beginning was forgotten."""
        ...


class Screen(Protocol):
    """A terminal that may be shown."""

    @property
    def id(self) -> str:
        """By which a shell is known."""
        ...

    @property
    def name(self) -> str:
        """What its owner calls it."""
        ...

    @property
    def scrollback(self) -> Printed:
        """What it has printed."""
        ...


@dataclass(frozen=True)
class Attendance:
    """What the pages show of the workshop. `trouble` is why the line is down ('' while it stands)."""

    membership: Membership | None = None
    connected: bool = False
    trouble: str = ""
    workshop: dict[str, Any] = field(default_factory=dict)
    messages: tuple[dict[str, Any], ...] = ()
    requests: tuple[dict[str, Any], ...] = ()
    watcher: str = ""
    looks: int = 0

    @property
    def news(self) -> tuple[dict[str, Any], ...]:
        """Messages that were not put away."""
        read = self.membership.read if self.membership else 0
        return tuple(message for message in self.messages if message["id"] > read)

    @property
    def goes_on(self) -> bool:
        """Whether the workshop was heard of and is not over."""
        if self.membership is None or not self.workshop or self.workshop["closed"]:
            return False
        return datetime.now(UTC) < datetime.fromisoformat(self.workshop["ends_at"]) + OVERTIME

    @property
    def watched(self) -> bool:
        """Whether somebody looks at the terminal now."""
        return bool(self.watcher) and self.membership is not None and self.membership.screen


class Removed(Exception):
    """The workshop's site does not know us any more."""


class Reporter:
    """Takes part in the workshop that goes on, if any. `reset` puts a lab back to its start."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        reset: Callable[[str], Awaitable[None]],
        screens: Callable[[], Iterable[Screen]],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.memberships = Memberships(database)
        self.attendance = Attendance()
        self._database = database
        self._hub = hub
        self._reset = reset
        self._screens = screens
        self._transport = transport
        self._work: set[asyncio.Task[None]] = set()
        self._looked = asyncio.Event()

    @asynccontextmanager
    async def attending(self) -> AsyncIterator[None]:
        """Take part meanwhile."""
        tasks = [asyncio.create_task(part, name="reporter") for part in (self._run(), self._judge_on())]
        try:
            yield
        finally:
            for each in (*tasks, *self._work):
                each.cancel()
            await asyncio.gather(*tasks, *self._work, return_exceptions=True)

    async def now(self) -> Attendance:
        """What to show of the workshop right after joining or leaving: the loop takes a moment to notice."""
        current = await self.memberships.current()
        shown = self.attendance
        if current is None:
            return Attendance()
        if shown.membership is None or shown.membership.id != current.id:
            return Attendance(current, trouble="connecting")
        return replace(shown, membership=current)

    def holds(self, lab: str, task: str) -> bool:
        """Whether the workshop holds back the solution of this task."""
        workshop = self.attendance.workshop
        held = bool(workshop.get("hold_solutions")) and lab in workshop.get("labs", ())
        return held and f"{lab}/{task}" not in workshop.get("unlocked", ())

    def client(self, membership: Membership) -> httpx.AsyncClient:
        """A client that speaks for the member."""
        headers = {"Authorization": f"Bearer {membership.token}"}
        return httpx.AsyncClient(
            base_url=membership.site, headers=headers, timeout=LOOK_SECONDS * 10, transport=self._transport
        )

    async def _run(self) -> None:
        with self._database.bus.subscribe(TOPIC) as told:
            failures = 0
            while True:
                told.take()
                membership = await self.memberships.current()
                if membership is None:
                    self._show(Attendance())
                    with contextlib.suppress(TimeoutError):  # the command line writes into the database, too
                        await asyncio.wait_for(told.changed.wait(), LOOK_SECONDS)
                    continue
                if self.attendance.membership is None or self.attendance.membership.id != membership.id:
                    self._show(Attendance(membership, trouble="connecting"))
                try:
                    await self._attend(membership)
                except Removed:
                    await self.memberships.leave(membership.id)
                    self._show(Attendance())
                except (httpx.HTTPError, OSError, ValueError) as error:
                    failures = 0 if self.attendance.connected else failures + 1
                    self._show(replace(self.attendance, connected=False, trouble=_words(error)))
                    pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(told.changed.wait(), pause)

    async def _attend(self, membership: Membership) -> None:
        """Until the membership is another one, or something breaks."""
        async with self.client(membership) as http:
            parts = (self._listen(http), self._report(http, membership.id), self._show_screens(http))
            tasks = [asyncio.create_task(part) for part in (*parts, self._until_another(membership.id))]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _until_another(self, identity: int) -> None:
        with self._database.bus.subscribe(TOPIC) as told:
            while True:
                current = await self.memberships.current()
                if current is None or current.id != identity:
                    return
                self._show(replace(self.attendance, membership=current))
                await _a_while(told)

    async def _judge_on(self) -> None:
        """Watch the mesh, and the lab that was opened last if it is the workshop's, as a page would."""
        with self._database.bus.subscribe(TOPIC) as told:
            while True:
                try:
                    await self._watch_lab(told)
                except Exception:
                    log.exception("the lab is not judged while no page is open; it is tried again")
                await _a_while(told)

    async def _watch_lab(self, told: Subscription) -> None:
        """Until it is another lab, or the workshop is over."""
        if membership := self._going_on():
            lab = await self._lab_of(membership)
            async with self._hub.watch(LOCAL_LEARNER, lab, page=False):
                while (membership := self._going_on()) and await self._lab_of(membership) == lab:
                    await _a_while(told)

    def _going_on(self) -> Membership | None:
        return self.attendance.membership if self.attendance.goes_on else None

    async def _lab_of(self, membership: Membership) -> str | None:
        """The lab that its owner is at; after a restart the one that they tried last."""
        lab = self._hub.reading or await self.memberships.last_lab()
        return lab if lab in membership.labs else None

    async def _listen(self, http: httpx.AsyncClient) -> None:
        timeout = httpx.Timeout(LOOK_SECONDS * 10, read=SILENCE_SECONDS)
        async with http.stream("GET", "/api/v1/desk/stream", timeout=timeout) as answer:
            _check(answer)
            kind = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: ") and kind == "desk":
                    await self._hear(json.loads(line.removeprefix("data: ")))
                elif line.startswith("data: ") and kind == "bye":
                    raise Removed
        raise httpx.RemoteProtocolError("the line was closed")

    async def _hear(self, desk: dict[str, Any]) -> None:
        before = self.attendance
        workshop = desk["workshop"]
        membership = before.membership
        if membership and (membership.workshop, membership.labs) != (workshop["title"], tuple(workshop["labs"])):
            await self.memberships.learn(membership.id, workshop["title"], workshop["labs"])
        self._show(
            replace(
                before,
                connected=True,
                trouble="",
                workshop=workshop,
                messages=tuple(desk["messages"]),
                requests=tuple(desk["requests"]),
                watcher=desk["watcher"],
                looks=desk["looks"],
            )
        )
        self._looked.set()

    def _show(self, attendance: Attendance) -> None:
        if attendance != self.attendance:
            self.attendance = attendance
            self._hub.wake()

    async def _report(self, http: httpx.AsyncClient, identity: int) -> None:
        with (
            self._database.bus.subscribe(f"learner:{LOCAL_LEARNER}") as attempts,
            self._database.bus.subscribe(TOPIC) as changes,
        ):
            said: dict[str, Any] = {}
            loop = asyncio.get_running_loop()
            again = loop.time()
            while True:
                attempts.take()
                changes.take()
                membership = await self.memberships.current()
                if membership is None or membership.id != identity:
                    return
                batch, place = await self.memberships.unreported(membership, BATCH)
                status = await self._status(membership)
                if batch or status != said or loop.time() >= again:
                    answer = await http.post("/api/v1/desk/report", json={"attempts": batch, **status})
                    if answer.status_code != 409:  # the workshop is closed: keep what there is, it may open again
                        _check(answer)
                        said = status
                    else:
                        place = membership.reported
                    again = loop.time() + STATUS_SECONDS
                if place > membership.reported:
                    await self.memberships.reported(membership.id, place)
                    continue
                await first_of(attempts.changed, changes.changed, seconds=LOOK_SECONDS)

    async def _status(self, membership: Membership) -> dict[str, Any]:
        mesh = self._hub.mesh
        hints = await self.memberships.hints(membership.labs)
        status = {
            "screen": membership.screen,
            "lab": await self._lab_of(membership) or self._hub.reading,
            "mesh": mesh.state,
            "backend": mesh.backend[:20],
            "version": version("meshdojo"),
        }
        return {"status": status, "hints": hints}

    async def _show_screens(self, http: httpx.AsyncClient) -> None:
        """As long as somebody looks, and may: what every terminal prints.

        The terminals are read from their scrollback, not followed: a slow line must not make a program wait.
        """
        shown: dict[str, int] = {}
        looks = 0
        while True:
            if not self.attendance.watched:
                shown.clear()
                self._looked.clear()
                await first_of(self._looked, seconds=LOOK_SECONDS)
                continue
            if looks != self.attendance.looks:
                looks = self.attendance.looks
                shown.clear()
            for screen in self._screens():
                await self._show_screen(http, screen, shown)
            await asyncio.sleep(SCREEN_SECONDS)

    async def _show_screen(self, http: httpx.AsyncClient, screen: Screen, shown: dict[str, int]) -> None:
        end = screen.scrollback.end
        place = max(shown.get(screen.id, 0), end - SCREEN_BYTES)
        if screen.id in shown and place >= end:
            return
        piece = screen.scrollback.since(place, SCREEN_BYTES)
        body = {"terminal": screen.id, "title": screen.name, "place": piece.at}
        body |= {"columns": getattr(screen, "columns", 80), "rows": getattr(screen, "rows", 24)}
        body["data"] = base64.b64encode(piece.data).decode()
        answer = await http.post("/api/v1/desk/screen", json=body)
        if answer.status_code not in (409, 429):
            _check(answer)
            shown[screen.id] = piece.end

    def answer(self, request: int, *, accept: bool) -> None:
        """The owner has decided about a request; what it takes is done in the background."""
        asked = next((one for one in self.attendance.requests if one["id"] == request), None)
        membership = self.attendance.membership
        if asked and membership:
            task = asyncio.create_task(self._answer(membership, asked, accept), name=f"request {request}")
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _answer(self, membership: Membership, asked: dict[str, Any], accept: bool) -> None:
        try:
            async with self.client(membership) as http:
                if not accept:
                    await _tell(http, asked["id"], "refused")
                elif asked["kind"] == "screen":
                    await self.memberships.share_screen(membership.id, share=True)
                    await _tell(http, asked["id"], "done")
                else:
                    await _tell(http, asked["id"], "accepted")
                    await self._carry_out(http, asked)
        except httpx.HTTPError as error:
            log.warning("the answer to request %s did not arrive: %s", asked["id"], _words(error))

    async def _carry_out(self, http: httpx.AsyncClient, asked: dict[str, Any]) -> None:
        try:
            await self._reset(asked["lab"])
        except UserError as error:
            await _tell(http, asked["id"], "failed", str(error)[:4000])
        else:
            await _tell(http, asked["id"], "done")


async def _a_while(told: Subscription) -> None:
    """Until a membership has changed, or so long as it takes to notice what tells of no change."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(told.changed.wait(), LOOK_SECONDS)
    told.take()


async def _tell(http: httpx.AsyncClient, request: int, state: str, detail: str = "") -> None:
    await http.post(f"/api/v1/desk/requests/{request}", json={"state": state, "detail": detail})


def _check(answer: httpx.Response) -> None:
    if answer.status_code in (401, 409):
        raise Removed
    answer.raise_for_status()


def _words(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return str(error) or type(error).__name__
