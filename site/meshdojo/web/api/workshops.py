"""Workshops, for those who lead them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import Response, StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from meshdojo.web.api.common import CHANGES, ERRORS, SIGNED_IN, CurrentSite, Input, Key, Line, Number
from meshdojo.web.exports import attempts_csv, export_json, roster_csv, row_json
from meshdojo.web.pages.site import Site
from meshdojo.web.roster import columns_of
from meshdojo.web.security import Leader
from meshdojo.web.workshops import MESSAGE_LENGTH, Plan, WorkshopError, WorkshopFacts

router = APIRouter(prefix="/api/v1/workshops", tags=["workshops"], responses=ERRORS)


def _near(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 2200:
        raise ValueError("a year between 2000 and 2200 is expected")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_near)]


class PlanIn(Input):
    """What a workshop is to be. `backend` is where learners' meshes run ('' for wherever they like)."""

    title: Key
    labs: Annotated[list[Key], Field(min_length=1, max_length=100)]
    starts_at: Moment
    ends_at: Moment
    backend: Annotated[Line, StringConstraints(max_length=20)] = ""
    hold_solutions: bool = False


class WorkshopOut(BaseModel):
    """A workshop, as who leads it sees it. `link` is what learners open to join."""

    id: int
    title: str
    code: str
    link: str
    labs: list[str]
    starts_at: datetime
    ends_at: datetime
    backend: str
    hold_solutions: bool
    closed_at: datetime | None
    unlocked: list[str]


class StateIn(Input):
    """Whether the workshop is closed: then nobody joins or reports any more."""

    closed: bool


class MessageIn(Input):
    """Something to say to everybody."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MESSAGE_LENGTH, pattern=r"\S")]


class MessageOut(BaseModel):
    """Something that was said."""

    id: int
    author: str
    text: str
    at: datetime


class SolutionIn(Input):
    """A task, and whether its solution is held back."""

    lab: Key
    task: Key
    locked: bool = False


class RequestIn(Input):
    """Something to ask of a member: to put `lab` back to its start, or to show their screen."""

    kind: Literal["reset", "screen"]
    lab: Annotated[Line, StringConstraints(max_length=100)] = ""


class RequestOut(BaseModel):
    """A request and what came of it."""

    id: int
    kind: str
    lab: str
    author: str
    state: str
    detail: str
    created_at: datetime


class Made(BaseModel):
    """The number of what was made."""

    id: int


async def found_workshop(site: CurrentSite, session: Leader, workshop: Number) -> WorkshopFacts:
    """The workshop that the path names."""
    found = await site.workshops.get(workshop)
    if found is None:
        raise HTTPException(404, f"There is no workshop {workshop}.")
    return found


Workshop = Annotated[WorkshopFacts, Depends(found_workshop)]


@router.get("", dependencies=SIGNED_IN)
async def workshops(site: CurrentSite, session: Leader) -> list[WorkshopOut]:
    """All workshops, the newest first."""
    return [_out(site, one) for one in await site.workshops.all()]


@router.post("", dependencies=CHANGES, status_code=201)
async def create(site: CurrentSite, session: Leader, body: PlanIn) -> WorkshopOut:
    """Make a workshop; it gets a code to join by."""
    try:
        return _out(site, await site.workshops.create(session.learner, _plan(site, body)))
    except WorkshopError as error:
        raise HTTPException(422, str(error)) from error


@router.get("/{workshop}", dependencies=SIGNED_IN)
async def one(site: CurrentSite, workshop: Workshop) -> WorkshopOut:
    """A workshop."""
    return _out(site, workshop)


@router.put("/{workshop}", dependencies=CHANGES)
async def change(site: CurrentSite, workshop: Workshop, body: PlanIn) -> WorkshopOut:
    """Plan a workshop anew."""
    try:
        await site.workshops.change(workshop.id, _plan(site, body))
    except WorkshopError as error:
        raise HTTPException(422, str(error)) from error
    return await _again(site, workshop)


@router.put("/{workshop}/state", dependencies=CHANGES)
async def close(site: CurrentSite, workshop: Workshop, body: StateIn) -> WorkshopOut:
    """Close a workshop, or open it again."""
    await site.workshops.close(workshop.id, closed=body.closed)
    return await _again(site, workshop)


@router.post("/{workshop}/code", dependencies=CHANGES)
async def renew_code(site: CurrentSite, workshop: Workshop) -> WorkshopOut:
    """Another join code; the old one is no good any more. Who has joined stays."""
    await site.workshops.renew_code(workshop.id)
    return await _again(site, workshop)


@router.delete("/{workshop}", dependencies=CHANGES, status_code=204)
async def delete(site: CurrentSite, workshop: Workshop) -> None:
    """Delete a workshop and its roster."""
    await site.workshops.delete(workshop.id)


@router.get("/{workshop}/messages", dependencies=SIGNED_IN)
async def messages(site: CurrentSite, workshop: Workshop) -> list[MessageOut]:
    """What was said to everybody, the newest first."""
    return [MessageOut(**vars(message)) for message in await site.workshops.messages(workshop.id)]


@router.post("/{workshop}/messages", dependencies=CHANGES, status_code=201)
async def say(site: CurrentSite, session: Leader, workshop: Workshop, body: MessageIn) -> Made:
    """Say something to everybody: it appears on every learner's page."""
    try:
        return Made(id=await site.workshops.say(workshop.id, session.signature, _clean(body.text)))
    except WorkshopError as error:
        raise HTTPException(422, str(error)) from error


@router.put("/{workshop}/solutions", dependencies=CHANGES)
async def unlock(site: CurrentSite, workshop: Workshop, body: SolutionIn) -> WorkshopOut:
    """Give a task's solution away to everybody, or hold it back again."""
    if body.lab not in workshop.labs:
        raise HTTPException(422, f"lab: {body.lab!r} is not among this workshop's: {', '.join(workshop.labs)}")
    await site.workshops.unlock(workshop.id, body.lab, body.task, locked=body.locked)
    return await _again(site, workshop)


@router.get("/{workshop}/roster", dependencies=SIGNED_IN)
async def roster(site: CurrentSite, workshop: Workshop) -> list[dict[str, Any]]:
    """Everybody in the room: each task's state, where they are, who is stuck since when, the last failing reason."""
    columns = columns_of(workshop, site.library.chapters())
    return [row_json(row) for row in (await site.roster.rows(workshop.id, columns)).values()]


@router.delete("/{workshop}/members/{member}", dependencies=CHANGES, status_code=204)
async def remove(site: CurrentSite, workshop: Workshop, member: Number) -> None:
    """Take somebody off the roster. Who joined with a code and a name is forgotten altogether."""
    if not await site.members.remove(workshop.id, member):
        raise HTTPException(404, f"There is no member {member}.")


@router.get("/{workshop}/members/{member}/requests", dependencies=SIGNED_IN)
async def requests(site: CurrentSite, workshop: Workshop, member: Number) -> list[RequestOut]:
    """What was asked of a member, and what came of it."""
    found = await site.members.get(workshop.id, member)
    if found is None:
        raise HTTPException(404, f"There is no member {member}.")
    return [
        RequestOut(**{name: value for name, value in vars(request).items() if name != "member"})
        for request in await site.members.requests(found.id)
    ]


@router.post("/{workshop}/members/{member}/requests", dependencies=CHANGES, status_code=201)
async def ask(site: CurrentSite, session: Leader, workshop: Workshop, member: Number, body: RequestIn) -> Made:
    """Ask a member for something. Their own meshdojo asks them, and carries it out if they agree."""
    if body.kind == "reset" and body.lab not in workshop.labs:
        raise HTTPException(422, f"lab: {body.lab!r} is not among this workshop's: {', '.join(workshop.labs)}")
    number = await site.workshops.ask(workshop.id, member, body.kind, body.lab, session.signature)
    if number is None:
        raise HTTPException(404, f"There is no member {member}.")
    return Made(id=number)


@router.get("/{workshop}/export/attempts.csv", dependencies=SIGNED_IN, response_class=StreamingResponse)
async def export_attempts(site: CurrentSite, workshop: Workshop) -> StreamingResponse:
    """Every attempt: who, when, task, outcome, reason, duration."""
    return StreamingResponse(
        attempts_csv(site.database, workshop.id), media_type="text/csv", headers=_file(workshop, "attempts.csv")
    )


@router.get("/{workshop}/export/roster.csv", dependencies=SIGNED_IN, response_class=Response)
async def export_roster(site: CurrentSite, workshop: Workshop) -> Response:
    """The grid: a line for each learner."""
    columns = columns_of(workshop, site.library.chapters())
    rows = list((await site.roster.rows(workshop.id, columns)).values())
    return Response(roster_csv(columns, rows), media_type="text/csv", headers=_file(workshop, "roster.csv"))


@router.get("/{workshop}/export.json", dependencies=SIGNED_IN)
async def export(site: CurrentSite, workshop: Workshop, response: Response) -> dict[str, Any]:
    """The workshop, its learners and every attempt."""
    response.headers.update(_file(workshop, "workshop.json"))
    columns = columns_of(workshop, site.library.chapters())
    rows = list((await site.roster.rows(workshop.id, columns)).values())
    return await export_json(site.database, workshop, columns, rows)


def _file(workshop: WorkshopFacts, name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="workshop-{workshop.id}-{name}"'}


def _clean(text: str) -> str:
    return "".join(letter for letter in text if letter == "\n" or letter.isprintable())


def _plan(site: Site, body: PlanIn) -> Plan:
    known = {chapter.name for chapter in site.library.chapters()}
    unknown = [lab for lab in body.labs if lab not in known]
    if unknown:
        raise WorkshopError(f"labs: there is none called {unknown[0]!r}; the course has {', '.join(sorted(known))}")
    return Plan(body.title, tuple(body.labs), body.starts_at, body.ends_at, body.backend, body.hold_solutions)


async def _again(site: Site, workshop: WorkshopFacts) -> WorkshopOut:
    found = await site.workshops.get(workshop.id)
    if found is None:
        raise HTTPException(404, f"There is no workshop {workshop.id}.")
    return _out(site, found)


def spaced(code: str) -> str:
    """A code as it is shown: 'KX4T9TQB' -> 'KX4T-9TQB'."""
    half = (len(code) + 1) // 2
    return f"{code[:half]}-{code[half:]}"


def _out(site: Site, workshop: WorkshopFacts) -> WorkshopOut:
    return WorkshopOut(
        id=workshop.id,
        title=workshop.title,
        code=spaced(workshop.code),
        link=f"{site.settings.url}/join/{spaced(workshop.code)}",
        labs=list(workshop.labs),
        starts_at=workshop.starts_at,
        ends_at=workshop.ends_at,
        backend=workshop.backend,
        hold_solutions=workshop.hold_solutions,
        closed_at=workshop.closed_at,
        unlocked=sorted(f"{lab}/{task}" for lab, task in workshop.unlocked),
    )
