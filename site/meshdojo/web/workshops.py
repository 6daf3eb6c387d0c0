"""Workshops: made, changed and led by instructors.

What members do is `members`; how the room looks is `roster`. Every method is one transaction, and tells of itself
(`events`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from meshdojo.errors import UserError
from meshdojo.web.accounts import new_code, normal_code
from meshdojo.web.database import Database, Transaction
from meshdojo.web.events import Events
from meshdojo.web.models import Member, Message, Request, Unlock, Workshop, WorkshopLab

CODE_LENGTH = 8
MESSAGE_LENGTH = 2000
SHOWN_MESSAGES = 20
MOST_MEMBERS = 1000

RequestKind = Literal["reset", "screen"]
RequestState = Literal["asked", "accepted", "refused", "done", "failed", "withdrawn"]
OPEN_STATES = ("asked", "accepted")


class WorkshopError(UserError):
    """A workshop cannot be what was asked for; the text says what is allowed."""


@dataclass(frozen=True)
class WorkshopFacts:
    """A workshop. `labs` are in order; `unlocked` holds (lab, task)."""

    id: int
    title: str
    code: str
    backend: str
    starts_at: datetime
    ends_at: datetime
    hold_solutions: bool
    created_by: int | None
    closed_at: datetime | None
    labs: tuple[str, ...]
    unlocked: frozenset[tuple[str, str]]

    @property
    def closed(self) -> bool:
        """Whether the instructor has ended it: nobody joins or reports any more."""
        return self.closed_at is not None


@dataclass(frozen=True)
class MessageFacts:
    """Something said to everybody."""

    id: int
    author: str
    text: str
    at: datetime


@dataclass(frozen=True)
class RequestFacts:
    """Something asked of a member."""

    id: int
    member: int
    kind: str
    lab: str
    author: str
    state: str
    detail: str
    created_at: datetime


@dataclass(frozen=True)
class Plan:
    """What an instructor decides about a workshop."""

    title: str
    labs: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    backend: str = ""
    hold_solutions: bool = False


class Workshops:
    """The workshops of a site."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events

    async def create(self, by: int, plan: Plan) -> WorkshopFacts:
        """A new workshop with a code of its own. Raises `WorkshopError`."""
        _validate(plan)
        columns = {"title": plan.title, "backend": plan.backend, "starts_at": plan.starts_at, "ends_at": plan.ends_at}
        columns |= {"hold_solutions": plan.hold_solutions, "created_by": by, "created_at": datetime.now(UTC)}
        async with self._database.writing() as transaction:
            code = normal_code(new_code(CODE_LENGTH))
            number = await transaction.insert(Workshop, **columns, code=code)
            await _choose(transaction, number, plan.labs)
            await self._events.tell(transaction, number, "workshop", title=plan.title, state="made")
        found = await self.get(number)
        assert found is not None
        return found

    async def change(self, workshop: int, plan: Plan) -> bool:
        """Decide anew; False when there is no such workshop. Raises `WorkshopError`."""
        _validate(plan)
        columns = {"title": plan.title, "backend": plan.backend, "starts_at": plan.starts_at, "ends_at": plan.ends_at}
        async with self._database.writing() as transaction:
            if not await _update(transaction, workshop, **columns, hold_solutions=plan.hold_solutions):
                return False
            await transaction.connection.execute(delete(WorkshopLab).where(WorkshopLab.workshop_id == workshop))
            await _choose(transaction, workshop, plan.labs)
            await self._events.tell(transaction, workshop, "workshop", title=plan.title, state="changed")
        return True

    async def close(self, workshop: int, *, closed: bool) -> bool:
        """End a workshop, or open it again; False when there is none."""
        async with self._database.writing() as transaction:
            if not await _update(transaction, workshop, closed_at=datetime.now(UTC) if closed else None):
                return False
            await self._events.tell(transaction, workshop, "workshop", state="closed" if closed else "opened")
        return True

    async def renew_code(self, workshop: int) -> str | None:
        """Another join code; the old one is no good any more. None when there is no such workshop."""
        code = normal_code(new_code(CODE_LENGTH))
        async with self._database.writing() as transaction:
            if not await _update(transaction, workshop, code=code):
                return None
            await self._events.tell(transaction, workshop, "workshop", state="changed")
        return code

    async def delete(self, workshop: int) -> bool:
        """Delete a workshop and its roster. What its members did stays with them."""
        async with self._database.writing() as transaction:
            await self._events.tell(transaction, workshop, "workshop", state="deleted")
            statement = delete(Workshop).where(Workshop.id == workshop)
            return (await transaction.connection.execute(statement)).rowcount > 0

    async def get(self, workshop: int) -> WorkshopFacts | None:
        """A workshop by number."""
        async with self._database.reading() as connection:
            return await workshop_of(connection, Workshop.id == workshop)

    async def by_code(self, code: str) -> WorkshopFacts | None:
        """The workshop that is open under a code, however it is typed."""
        async with self._database.reading() as connection:
            found = await workshop_of(connection, Workshop.code == normal_code(code))
        return found if found and not found.closed else None

    async def all(self) -> list[WorkshopFacts]:
        """Every workshop, the newest first."""
        async with self._database.reading() as connection:
            numbers = (await connection.execute(select(Workshop.id).order_by(Workshop.starts_at.desc()))).scalars()
            found = [await workshop_of(connection, Workshop.id == number) for number in numbers.all()]
        return [one for one in found if one]

    async def say(self, workshop: int, author: str, text: str) -> int:
        """Say something to everybody; returns the message's number. Raises `WorkshopError`."""
        text = text.strip()
        if not 0 < len(text) <= MESSAGE_LENGTH:
            raise WorkshopError(f"message of {len(text)} characters: allowed are 1 to {MESSAGE_LENGTH}")
        row = {"workshop_id": workshop, "author": author[:200], "text": text, "at": datetime.now(UTC)}
        async with self._database.writing() as transaction:
            try:
                number = await transaction.insert(Message, **row)
            except IntegrityError:
                raise WorkshopError(f"there is no workshop {workshop}") from None
            await self._events.tell(transaction, workshop, "message", author=author, text=text)
        return number

    async def messages(self, workshop: int) -> list[MessageFacts]:
        """What was said, the newest first."""
        async with self._database.reading() as connection:
            return await messages_of(connection, workshop)

    async def unlock(self, workshop: int, lab: str, task: str, *, locked: bool = False) -> None:
        """Give a task's solution away, or take it back."""
        key = {"workshop_id": workshop, "lab": lab, "task": task}
        async with self._database.writing() as transaction:
            if locked:
                await transaction.connection.execute(delete(Unlock).filter_by(**key))
            else:
                await transaction.insert_if_new(Unlock, key | {"at": datetime.now(UTC)})
            await self._events.tell(transaction, workshop, "unlock", lab=lab, task=task, locked=locked)

    async def ask(self, workshop: int, member: int, kind: RequestKind, lab: str, author: str) -> int | None:
        """Ask a member for something; an older request of the kind is withdrawn. None when there is no such member."""
        now = datetime.now(UTC)
        async with self._database.writing() as transaction:
            belongs = select(Member.id).where(Member.id == member, Member.workshop_id == workshop)
            if await transaction.connection.scalar(belongs) is None:
                return None
            await transaction.connection.execute(
                update(Request)
                .where(Request.member_id == member, Request.kind == kind, Request.state.in_(OPEN_STATES))
                .values(state="withdrawn", ended_at=now)
            )
            row = {"member_id": member, "kind": kind, "lab": lab, "author": author[:200], "state": "asked"}
            number = await transaction.insert(Request, **row, detail="", created_at=now)
            await self._events.tell(
                transaction, workshop, "request", member=member, request=number, kind=kind, lab=lab, state="asked"
            )
        return number


async def _choose(transaction: Transaction, workshop: int, labs: Sequence[str]) -> None:
    for position, lab in enumerate(labs):
        await transaction.insert_if_new(WorkshopLab, {"workshop_id": workshop, "lab": lab, "position": position})


async def _update(transaction: Transaction, workshop: int, **columns: Any) -> bool:
    statement = update(Workshop).where(Workshop.id == workshop).values(**columns)
    return (await transaction.connection.execute(statement)).rowcount > 0


def _validate(plan: Plan) -> None:
    if not plan.title.strip():
        raise WorkshopError("title: a workshop needs one")
    if not plan.labs:
        raise WorkshopError("labs: choose at least one")
    if len(set(plan.labs)) != len(plan.labs):
        raise WorkshopError("labs: one is named twice")
    if plan.ends_at <= plan.starts_at:
        raise WorkshopError("ends_at: a workshop ends after it starts")


async def workshop_of(connection: AsyncConnection, where: Any) -> WorkshopFacts | None:
    """The workshop that fulfils a condition."""
    row = (await connection.execute(select(Workshop).where(where))).one_or_none()
    if row is None:
        return None
    labs = select(WorkshopLab.lab).where(WorkshopLab.workshop_id == row.id).order_by(WorkshopLab.position)
    unlocked = select(Unlock.lab, Unlock.task).where(Unlock.workshop_id == row.id)
    return WorkshopFacts(
        row.id,
        row.title,
        row.code,
        row.backend,
        row.starts_at,
        row.ends_at,
        row.hold_solutions,
        row.created_by,
        row.closed_at,
        tuple((await connection.execute(labs)).scalars()),
        frozenset((lab, task) for lab, task in await connection.execute(unlocked)),
    )


async def messages_of(connection: AsyncConnection, workshop: int) -> list[MessageFacts]:
    """The last messages of a workshop, the newest first."""
    query = select(Message).where(Message.workshop_id == workshop).order_by(Message.id.desc()).limit(SHOWN_MESSAGES)
    return [MessageFacts(row.id, row.author, row.text, row.at) for row in await connection.execute(query)]


async def requests_of(connection: AsyncConnection, *where: Any) -> list[RequestFacts]:
    """The requests that fulfil conditions, the newest first."""
    query = select(Request).where(*where).order_by(Request.id.desc()).limit(100)
    return [
        RequestFacts(row.id, row.member_id, row.kind, row.lab, row.author, row.state, row.detail, row.created_at)
        for row in await connection.execute(query)
    ]
