"""The instructor's pages: workshops, a room with its live roster, a member over the shoulder, the projector."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from meshdojo.backends.base import BACKENDS
from meshdojo.web.api.common import Number
from meshdojo.web.api.desk import SSE
from meshdojo.web.api.workshops import Workshop, spaced
from meshdojo.web.desks import KEEP_ALIVE, first_of
from meshdojo.web.pages.site import CurrentSite, Site
from meshdojo.web.rooms import Room
from meshdojo.web.roster import STUCK, Place, Row
from meshdojo.web.security import Leader
from meshdojo.web.views import task_label

# Changes that come within this time reach the page together.
PAUSE = 0.05
PLACES: dict[Place, str] = {
    "stuck": "Stuck",
    "broken": "Mesh broken",
    "working": "Working",
    "done": "Done",
    "away": "Away",
}

router = APIRouter(prefix="/workshops", include_in_schema=False)


@router.get("", response_class=HTMLResponse)
async def workshops(request: Request, site: CurrentSite, session: Leader) -> HTMLResponse:
    """Every workshop, and the form for a new one."""
    now = datetime.now(UTC)
    return site.page(
        request,
        "workshops.html",
        workshops=await site.workshops.all(),
        chapters=site.library.chapters(),
        titles={chapter.name: chapter.title for chapter in site.library.chapters()},
        backends=BACKENDS,
        plan=None,
        starts=now.replace(minute=0, second=0, microsecond=0),
        ends=now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=8),
        spaced=spaced,
        now=now,
    )


@router.get("/{workshop}/plan", response_class=HTMLResponse)
async def plan(request: Request, site: CurrentSite, session: Leader, workshop: Workshop) -> HTMLResponse:
    """What was decided about a workshop, to be decided anew. Its labs come first, in its order."""
    chapters = {chapter.name: chapter for chapter in site.library.chapters()}
    chosen = [chapters.pop(lab) for lab in workshop.labs if lab in chapters]
    return site.page(
        request,
        "plan.html",
        plan=workshop,
        chapters=[*chosen, *chapters.values()],
        backends=BACKENDS,
        starts=workshop.starts_at,
        ends=workshop.ends_at,
        spaced=spaced,
    )


@router.get("/{workshop}", response_class=HTMLResponse)
async def room(request: Request, site: CurrentSite, session: Leader, workshop: Workshop) -> HTMLResponse:
    """The room: who is where, who is stuck, and what an instructor does about it."""
    async with site.rooms.enter(workshop.id) as room:
        if room is None or room.facts is None:
            raise HTTPException(404, f"There is no workshop {workshop.id}.")
        return site.page(
            request,
            "room.html",
            **_values(site, room),
            room_stream=f"/workshops/{workshop.id}/live?epoch={room.epoch}&version={room.version}&plan={_plan(room)}",
        )


@router.get("/{workshop}/projector", response_class=HTMLResponse)
async def projector(request: Request, site: CurrentSite, session: Leader, workshop: Workshop) -> HTMLResponse:
    """For the wall: how to join, what was said, how far the room is. No names, no reasons."""
    async with site.rooms.enter(workshop.id) as room:
        if room is None or room.facts is None:
            raise HTTPException(404, f"There is no workshop {workshop.id}.")
        return site.page(
            request,
            "projector.html",
            **_values(site, room),
            room_stream=f"/workshops/{workshop.id}/live?view=projector&plan={_plan(room)}",
        )


@router.get("/{workshop}/live")
async def live(
    site: CurrentSite,
    session: Leader,
    workshop: Workshop,
    epoch: Annotated[str, Query(max_length=20)] = "",
    version: int = 0,
    view: Annotated[str, Query(max_length=20)] = "room",
    plan: Annotated[str, Query(max_length=20)] = "",
) -> StreamingResponse:
    """Server-sent events: `row` for each member who has changed, `fragment` for the parts around the grid.

    `anew` when the plan is no longer the one that the page was made with: its grid has other columns.
    """
    events = _room_events(site, workshop.id, epoch, version, view, plan)
    return StreamingResponse(events, media_type="text/event-stream", headers=SSE)


async def _room_events(site: Site, workshop: int, epoch: str, version: int, view: str, plan: str) -> AsyncIterator[str]:
    sent: dict[str, str] = {}
    async with site.rooms.enter(workshop) as room:
        if room is None:
            return
        with room.watch() as woken:
            yield "retry: 1000\n\n"
            while not site.hub.stopped.is_set():
                woken.clear()
                if room.facts is None:
                    yield "event: bye\ndata: {}\n\n"
                    return
                if plan and plan != _plan(room):
                    yield "event: anew\ndata: {}\n\n"
                    return
                seen = room.version  # rows may change while these are sent
                if view == "room":
                    for number, event in enumerate(_rows(site, room, epoch, version)):
                        yield event
                        if number % 10 == 9:  # a whole room takes a while: others have their turn
                            await asyncio.sleep(0)
                epoch, version = room.epoch, seen
                for target, html in _parts(site, room, view):
                    if sent.get(target) != html:
                        sent[target] = html
                        yield _event("fragment", {"target": target, "html": html, "say": ""})
                await asyncio.sleep(PAUSE)
                if not await first_of(woken, site.hub.stopped, seconds=KEEP_ALIVE):
                    yield ": still here\n\n"


def _plan(room: Room) -> str:
    """What a page of the room is made with and does not follow by itself, in a few letters."""
    facts = room.facts
    assert facts is not None
    parts = (facts.title, facts.code, facts.backend, facts.starts_at, facts.ends_at, facts.closed, room.columns)
    return sha256(repr(parts).encode()).hexdigest()[:12]


def _rows(site: Site, room: Room, epoch: str, version: int) -> Iterator[str]:
    order = list(room.rows)
    for member in list(room.since(epoch, version)):
        row = room.rows.get(member)
        following = order[order.index(member) + 1 :][:1] if row else []
        html = site.render("parts/room_row.html", row=row, **_words(site, room)) if row else ""
        yield _event("row", {"member": member, "html": html, "before": following[0] if following else None})


def _parts(site: Site, room: Room, view: str) -> Iterator[tuple[str, str]]:
    values = _values(site, room)
    if view == "projector":
        yield "projector-board", site.render("parts/projector_board.html", **values)
        return
    yield "room-counts", site.render("parts/room_counts.html", **values)
    yield "room-messages", site.render("parts/room_messages.html", **values)
    yield "room-solutions", site.render("parts/room_solutions.html", **values)


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def _words(site: Site, room: Room) -> dict[str, Any]:
    titles = {column.lab: column.lab_title for column in room.columns}
    return {"workshop": room.facts, "places": PLACES, "task_label": task_label, "lab_titles": titles}


def _values(site: Site, room: Room) -> dict[str, Any]:
    """What the templates of a room show."""
    assert room.facts is not None
    rows = list(room.rows.values())
    counts = {place: sum(row.place == place for row in rows) for place in PLACES}
    passed = [
        (column, sum(row.cells[index].state in ("passed", "lapsed") for row in rows))
        for index, column in enumerate(room.columns)
    ]
    labs: dict[str, list[Any]] = {}
    for column, count in passed:
        labs.setdefault(column.lab_title, []).append((column, count))
    return _words(site, room) | {
        "code": spaced(room.facts.code),
        "link": f"{site.settings.url}/join/{spaced(room.facts.code)}",
        "reachable": site.settings.is_reachable,
        "rows": rows,
        "columns": room.columns,
        "task_names": {column.key: f"{column.lab_title} · {column.number}" for column in room.columns},
        "labs": labs,
        "counts": counts,
        "messages": room.messages,
        "stuck_minutes": int(STUCK.total_seconds() // 60),
        "now": datetime.now(UTC),
    }


@router.get("/{workshop}/members/{member}", response_class=HTMLResponse)
async def look(
    request: Request, site: CurrentSite, session: Leader, workshop: Workshop, member: Number
) -> HTMLResponse:
    """Over the shoulder: where somebody is, what they tried, and their terminal if they show it."""
    async with site.rooms.enter(workshop.id) as room:
        row = room.rows.get(member) if room else None
        if room is None or row is None:
            raise HTTPException(404, f"There is no member {member}.")
        return site.page(
            request,
            "look.html",
            **_values(site, room),
            row=row,
            attempts=await site.members.attempts(row.member, 30),
            requests=await site.members.requests(member),
            room_stream=f"/workshops/{workshop.id}/members/{member}/live",
        )


@router.get("/{workshop}/members/{member}/live")
async def look_live(site: CurrentSite, session: Leader, workshop: Workshop, member: Number) -> StreamingResponse:
    """Server-sent events: `fragment` for how the member stands, `screen` for pieces of their terminals."""
    if await site.members.get(workshop.id, member) is None:
        raise HTTPException(404, f"There is no member {member}.")
    events = _merged(_member_events(site, workshop.id, member), _screen_events(site, member, session.signature))
    return StreamingResponse(events, media_type="text/event-stream", headers=SSE)


async def _member_events(site: Site, workshop: int, member: int) -> AsyncIterator[str]:
    last: Row | None = None
    async with site.rooms.enter(workshop) as room:
        if room is None:
            return
        with room.watch() as woken:
            while not site.hub.stopped.is_set():
                woken.clear()
                row = room.rows.get(member)
                if row is None or room.facts is None:
                    yield "event: bye\ndata: {}\n\n"
                    return
                if row != last:
                    last = row
                    values = _values(site, room) | {
                        "row": row,
                        "attempts": await site.members.attempts(row.member, 30),
                        "requests": await site.members.requests(member),
                    }
                    for part in ("look_head", "look_tasks", "look_attempts", "look_screen"):
                        html = site.render(f"parts/{part}.html", **values)
                        yield _event("fragment", {"target": part.replace("_", "-"), "html": html, "say": ""})
                await first_of(woken, site.hub.stopped, seconds=KEEP_ALIVE)


async def _screen_events(site: Site, member: int, watcher: str) -> AsyncIterator[str]:
    async for event in site.desks.look(member, watcher):
        if event is None:
            yield ": still here\n\n"
        elif event.kind == "screen":
            yield _event("screen", event.data)


async def _merged(*streams: AsyncIterator[str]) -> AsyncIterator[str]:
    """What several streams say, as it comes, until the first of them ends."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=100)

    async def pour(stream: AsyncIterator[str]) -> None:
        try:
            async for text in stream:
                await queue.put(text)
        finally:
            await queue.put(None)

    tasks = [asyncio.create_task(pour(stream)) for stream in streams]
    try:
        while (text := await queue.get()) is not None:
            yield text
    finally:
        for task in tasks:
            task.cancel()
        while not queue.empty():
            queue.get_nowait()
        await asyncio.gather(*tasks, return_exceptions=True)
