"""A member's own meshdojo: it joins, reports what its checks found, and hears what the instructor says.

This is all that comes from a learner's machine, and none of it is ever run here: verdicts, a status, and, if the
learner allows it, what their terminal shows.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from meshdojo.web.api.common import (
    CHANGES,
    ERRORS,
    SIGNED_IN,
    CurrentSession,
    CurrentSite,
    Input,
    Key,
    Line,
    Number,
    Prose,
    Seconds,
    address,
    limited,
    too_many,
)
from meshdojo.web.desks import Board, Desk
from meshdojo.web.members import Joined, MemberFacts, Reported, Status
from meshdojo.web.pages.site import Site
from meshdojo.web.progress import Verdict
from meshdojo.web.workshops import RequestFacts, WorkshopError

MOST_ATTEMPTS = 200
SCREEN_BYTES = 48 * 1024

router = APIRouter(prefix="/api/v1", tags=["desk"], responses=ERRORS)


class JoinIn(Input):
    """The code of a workshop with a name, or a pairing code that the workshop's page showed (then without a name)."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    name: Line = ""


class WorkshopOut(BaseModel):
    """A workshop as its members know it. `held` are the tasks whose solution is held back: lab/task."""

    id: int
    title: str
    labs: list[str]
    starts_at: datetime
    ends_at: datetime
    backend: str
    closed: bool
    hold_solutions: bool
    unlocked: list[str]


class JoinOut(BaseModel):
    """Welcome: the token for reports, and what for."""

    token: str
    member: int
    name: str
    workshop: WorkshopOut


class AttemptIn(Input):
    """A run of a task's checks on the learner's machine, `age` seconds ago. `key` tells it from their others."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9:._-]+$")]
    lab: Key
    task: Key
    outcome: Literal["pass", "fail", "error"]
    reason: Prose = ""
    saw: Prose = ""
    expected: Prose = ""
    hint: Prose = ""
    seconds: Seconds = 0.0
    age: Seconds = 0.0


class StatusIn(Input):
    """What a meshdojo says of itself. `lab` is the chapter that is open."""

    screen: bool = False
    lab: Annotated[Line, StringConstraints(max_length=100)] = ""
    mesh: Literal["unknown", "absent", "starting", "ready", "unreachable"] = "unknown"
    backend: Annotated[Line, StringConstraints(max_length=20)] = ""
    version: Annotated[Line, StringConstraints(max_length=40)] = ""


class HintIn(Input):
    """How many hints of a task the learner has opened."""

    lab: Key
    task: Key
    opened: Annotated[int, Field(ge=1, le=20)]


class ReportIn(Input):
    """Attempts, oldest first, and how things are."""

    attempts: Annotated[list[AttemptIn], Field(default_factory=list, max_length=MOST_ATTEMPTS)]
    status: StatusIn | None = None
    hints: Annotated[list[HintIn], Field(default_factory=list, max_length=MOST_ATTEMPTS)]


class ReportOut(BaseModel):
    """`kept` attempts were new; all that were sent are safe now."""

    kept: int


class AnswerIn(Input):
    """What came of a request."""

    state: Literal["accepted", "refused", "done", "failed"]
    detail: Prose = ""


class ScreenIn(Input):
    """A piece of what a terminal shows: `data` in base64, which begins at `place` of the terminal's output."""

    terminal: Key
    title: Line = ""
    place: Annotated[int, Field(ge=0, le=2**53)] = 0
    columns: Annotated[int, Field(ge=2, le=1000)] = 80
    rows: Annotated[int, Field(ge=2, le=1000)] = 24
    data: Annotated[str, StringConstraints(max_length=SCREEN_BYTES * 4 // 3 + 4, pattern=r"^[A-Za-z0-9+/=]*$")] = ""
    ended: bool = False


async def current_member(site: CurrentSite, session: CurrentSession) -> MemberFacts:
    """The workshop that whoever asks has joined last."""
    member = await site.members.current(session.learner)
    if member is None:
        raise HTTPException(409, "You are in no workshop. Join one with its code.")
    return member


CurrentMember = Annotated[MemberFacts, Depends(current_member)]


@router.post("/join", status_code=201)
async def join(site: CurrentSite, request: Request, body: JoinIn) -> JoinOut:
    """Join a workshop by its code, under a name; or move to this machine with a pairing code."""
    return joined_out(await join_by_code(site, address(request), body.code, body.name))


async def join_by_code(site: Site, origin: str, code: str, name: str, learner: int | None = None) -> Joined:
    """A new member, by the code of a workshop or a pairing code. Raises HTTPException."""
    limits = site.limits
    if wait := max(limits.wrong_codes.wait(origin), limits.all_wrong_codes.wait("")):
        raise too_many(wait)
    workshop = await site.workshops.by_code(code)
    if workshop is None:
        paired = await site.accounts.redeem(code)
        joined = await site.members.pair(paired) if paired else None
        if joined is None:
            limits.wrong_codes.take(origin)
            limits.all_wrong_codes.take("")
            raise HTTPException(404, "No open workshop has this code. Ask your instructor; codes look like KX4T-9TQB.")
        return joined
    limited(limits.joins, origin)
    try:
        return await site.members.join(workshop, name, learner)
    except WorkshopError as error:
        raise HTTPException(409, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def joined_out(joined: Joined) -> JoinOut:
    """What somebody who has joined is told."""
    board = Board(joined.workshop, ())
    return JoinOut(
        token=joined.token,
        member=joined.member.id,
        name=joined.member.name,
        workshop=WorkshopOut.model_validate(_workshop(board)),
    )


@router.post("/desk/report", dependencies=CHANGES)
async def report(site: CurrentSite, member: CurrentMember, body: ReportIn) -> ReportOut:
    """Report attempts and how things are. What was answered with 200 is kept; send the rest again."""
    limited(site.limits.reports, f"member {member.id}")
    board = await site.desks.board(member.workshop)
    if board is None or board.workshop.closed:
        raise HTTPException(409, "The workshop is over.")
    attempts = [
        Reported(one.key, one.lab, one.task, Verdict(**one.model_dump(exclude={"key", "lab", "task", "age"})), one.age)
        for one in body.attempts
    ]
    status = Status(**body.status.model_dump()) if body.status else None
    hints = {(one.lab, one.task): one.opened for one in body.hints}
    return ReportOut(kept=await site.members.report(member, attempts, status, board.workshop.labs, hints))


@router.get("/desk/stream", dependencies=SIGNED_IN, response_class=StreamingResponse)
async def stream(site: CurrentSite, member: CurrentMember) -> StreamingResponse:
    """Server-sent events: `desk`, the whole of what the member must know, at each change; `bye` at the end."""
    return StreamingResponse(_stream(site, member), media_type="text/event-stream", headers=SSE)


SSE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def _stream(site: Site, member: MemberFacts) -> AsyncIterator[str]:
    async with site.desks.connected(member.id):
        async for desk in site.desks.follow(member):
            yield f"event: desk\ndata: {json.dumps(desk_out(desk))}\n\n" if desk else ": still here\n\n"
    if not site.desks.stopped.is_set():
        yield "event: bye\ndata: {}\n\n"


def desk_out(desk: Desk) -> dict[str, Any]:
    """A desk as JSON values."""
    return {
        "workshop": _workshop(desk.board),
        "messages": [asdict(message) | {"at": message.at.isoformat()} for message in desk.board.messages],
        "requests": [_request(request) for request in desk.requests],
        "watcher": desk.watcher,
        "looks": desk.looks,
    }


def _workshop(board: Board) -> dict[str, Any]:
    facts = board.workshop
    return {
        "id": facts.id,
        "title": facts.title,
        "labs": list(facts.labs),
        "starts_at": facts.starts_at.isoformat(),
        "ends_at": facts.ends_at.isoformat(),
        "backend": facts.backend,
        "closed": facts.closed,
        "hold_solutions": facts.hold_solutions,
        "unlocked": sorted(f"{lab}/{task}" for lab, task in facts.unlocked),
    }


def _request(request: RequestFacts) -> dict[str, Any]:
    kept = {"id": request.id, "kind": request.kind, "lab": request.lab, "author": request.author}
    return kept | {"state": request.state}


@router.post("/desk/requests/{request}", dependencies=CHANGES, status_code=204)
async def answer(site: CurrentSite, member: CurrentMember, request: Number, body: AnswerIn) -> None:
    """Say what came of a request of the instructor's."""
    if not await site.members.answer(member, request, body.state, body.detail):
        raise HTTPException(404, "Nothing of the kind is asked of you now.")


@router.post("/desk/screen", dependencies=CHANGES, status_code=204)
async def screen(site: CurrentSite, member: CurrentMember, body: ScreenIn) -> None:
    """Show a piece of the screen to whoever looks. It is passed on, and kept nowhere."""
    if not member.screen:
        raise HTTPException(409, "Your meshdojo has not said that your screen may be seen.")
    limited(site.limits.reports, f"screen {member.id}")
    await site.desks.show(member.id, body.model_dump())


@router.delete("/desk", dependencies=CHANGES, status_code=204)
async def leave(site: CurrentSite, session: CurrentSession, member: CurrentMember) -> None:
    """Leave the workshop. Who joined with a code and a name is forgotten, with all that is kept of them."""
    await site.members.leave(session.learner)
