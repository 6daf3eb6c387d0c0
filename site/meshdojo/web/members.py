"""The members of workshops: they join, report, and answer what is asked of them.

A report may come twice (an answer was lost, a server was killed): an attempt carries a key, and one of a known key is
not kept again. Times in a report are ages: a learner's clock may be wrong, the time that has passed on it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from meshdojo.web.accounts import Accounts, new_token
from meshdojo.web.database import Database, Transaction, table
from meshdojo.web.events import Events
from meshdojo.web.models import Attempt, HintOpened, Learner, Member, Request, Token, Workshop
from meshdojo.web.progress import Origin, Verdict, keep
from meshdojo.web.workshops import (
    MOST_MEMBERS,
    OPEN_STATES,
    RequestFacts,
    RequestState,
    WorkshopError,
    WorkshopFacts,
    requests_of,
    workshop_of,
)

NAME_LENGTH = 60
OLDEST = timedelta(days=30)


@dataclass(frozen=True)
class MemberFacts:
    """A learner in a workshop, with what their meshdojo said last of itself."""

    id: int
    workshop: int
    learner: int
    name: str
    joined_at: datetime
    seen_at: datetime | None = field(compare=False)  # it moves all the time, and alone is no news
    screen: bool
    lab: str
    mesh: str
    backend: str
    version: str


@dataclass(frozen=True)
class Joined:
    """A member who has just joined, and the token by which their meshdojo reports."""

    member: MemberFacts
    workshop: WorkshopFacts
    token: str


@dataclass(frozen=True)
class Reported:
    """An attempt made elsewhere, `age` seconds ago."""

    key: str
    lab: str
    task: str
    verdict: Verdict
    age: float


@dataclass(frozen=True)
class Status:
    """What a member's meshdojo says of itself."""

    screen: bool
    lab: str
    mesh: str
    backend: str
    version: str


class Members:
    """The members of all workshops."""

    def __init__(self, database: Database, events: Events, accounts: Accounts) -> None:
        self._database = database
        self._events = events
        self._accounts = accounts

    async def join(self, workshop: WorkshopFacts, name: str, learner: int | None = None) -> Joined:
        """Become a member: somebody new, or the `learner` who is signed in. Joining again gives another token.

        Raises `WorkshopError` when the name is taken, or too long, or the room is full.
        """
        name = " ".join(name.split())
        if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
            raise WorkshopError(f"name of {len(name)} characters: allowed are 1 to {NAME_LENGTH}, printable")
        try:
            async with self._database.writing() as transaction:
                return await self._join(transaction, workshop, name, learner)
        except IntegrityError:
            raise WorkshopError(f"somebody called {name!r} is here already; choose another name") from None

    async def _join(self, transaction: Transaction, workshop: WorkshopFacts, name: str, learner: int | None) -> Joined:
        connection, now = transaction.connection, datetime.now(UTC)
        if learner is None:
            learner = await transaction.insert(Learner, name=name, role="learner", created_at=now)
        member = await _member_of(connection, Member.workshop_id == workshop.id, Member.learner_id == learner)
        if member is None:
            count = select(func.count()).select_from(Member).where(Member.workshop_id == workshop.id)
            if (await connection.scalar(count) or 0) >= MOST_MEMBERS:
                raise WorkshopError(f"the room is full: it has {MOST_MEMBERS} members")
            row = {"workshop_id": workshop.id, "learner_id": learner, "name_key": name_key(name), "joined_at": now}
            said: dict[str, Any] = {"screen": False, "lab": "", "mesh": "unknown", "backend": "", "version": ""}
            number = await transaction.insert(Member, **row, **said)
            member = await _member_of(connection, Member.id == number)
            assert member is not None
            await self._events.tell(transaction, workshop.id, "joined", member=number, name=name)
        return Joined(member, workshop, await _report_token(transaction, member))

    async def pair(self, learner: int) -> Joined | None:
        """Another token for somebody who is a member already: the workshop that they joined last, if it is open."""
        async with self._database.writing() as transaction:
            member = await _last_member(transaction.connection, learner)
            workshop = await workshop_of(transaction.connection, Workshop.id == member.workshop) if member else None
            if member is None or workshop is None or workshop.closed:
                return None
            return Joined(member, workshop, await _report_token(transaction, member))

    async def current(self, learner: int) -> MemberFacts | None:
        """The membership that this learner began last."""
        async with self._database.reading() as connection:
            return await _last_member(connection, learner)

    async def get(self, workshop: int, member: int) -> MemberFacts | None:
        """A member of this workshop."""
        async with self._database.reading() as connection:
            return await _member_of(connection, Member.id == member, Member.workshop_id == workshop)

    async def remove(self, workshop: int, member: int) -> bool:
        """Take somebody off the roster, their token with them. Somebody without an account is forgotten altogether."""
        async with self._database.writing() as transaction:
            found = await _member_of(transaction.connection, Member.id == member, Member.workshop_id == workshop)
            if found is None:
                return False
            await self._leave(transaction, found)
        return True

    async def leave(self, learner: int) -> bool:
        """Leave the workshop that was joined last; False when there is none."""
        async with self._database.writing() as transaction:
            found = await _last_member(transaction.connection, learner)
            if found is None:
                return False
            await self._leave(transaction, found)
        return True

    async def _leave(self, transaction: Transaction, member: MemberFacts) -> None:
        await self._events.tell(transaction, member.workshop, "left", member=member.id, name=member.name)
        await transaction.connection.execute(delete(Member).where(Member.id == member.id))
        # With an account they may come back; without one nobody could ever reach what is kept of them.
        nobody = delete(Learner).where(Learner.id == member.learner, Learner.subject.is_(None), Learner.id != 1)
        others = select(Member.id).where(Member.learner_id == member.learner).exists()
        await transaction.connection.execute(nobody.where(~others))
        transaction.emit("sessions", "changed", learner=member.learner)

    async def report(
        self,
        member: MemberFacts,
        attempts: Sequence[Reported],
        status: Status | None,
        labs: Collection[str],
        hints: Mapping[tuple[str, str], int] | None = None,
    ) -> int:
        """Keep what a member's meshdojo reports; returns how many attempts were new. Other labs' are passed over."""
        now, new = datetime.now(UTC), 0
        async with self._database.writing() as transaction:
            for attempt in attempts:
                if attempt.lab not in labs:
                    continue
                at = now - min(timedelta(seconds=max(attempt.age, 0.0)), OLDEST)
                origin = Origin(member.workshop, attempt.key)
                if await keep(transaction, member.learner, attempt.lab, attempt.task, attempt.verdict, at, origin):
                    new += 1
                    await self._events.tell(
                        transaction,
                        member.workshop,
                        "attempt",
                        member=member.id,
                        name=member.name,
                        lab=attempt.lab,
                        task=attempt.task,
                        outcome=attempt.verdict.outcome,
                        reason=attempt.verdict.reason,
                    )
            news = False
            for (lab, task), opened in (hints or {}).items():
                row = {"learner_id": member.learner, "lab": lab, "task": task, "number": opened, "at": now}
                news = (lab in labs and await transaction.insert_if_new(HintOpened, row)) or news
            await self._note(transaction, member, status, now)
            if news:
                await self._events.tell(transaction, member.workshop, "status", member=member.id)
        return new

    async def _note(self, transaction: Transaction, member: MemberFacts, status: Status | None, now: datetime) -> None:
        said = vars(status) if status else {}
        await transaction.connection.execute(update(Member).where(Member.id == member.id).values(seen_at=now, **said))
        if status and any(getattr(member, name) != value for name, value in said.items()):
            await self._events.tell(transaction, member.workshop, "status", member=member.id)

    async def present(self, members: Collection[int]) -> None:
        """These are connected now."""
        if members:
            async with self._database.writing() as transaction:
                statement = update(Member).where(Member.id.in_(members)).values(seen_at=datetime.now(UTC))
                await transaction.connection.execute(statement)

    async def answer(self, member: MemberFacts, request: int, state: RequestState, detail: str) -> bool:
        """What came of a request; False when this member was not asked, or has answered finally."""
        ended = None if state == "accepted" else datetime.now(UTC)
        statement = (
            update(Request)
            .where(Request.id == request, Request.member_id == member.id, Request.state.in_(OPEN_STATES))
            .values(state=state, detail=detail, ended_at=ended)
        )
        async with self._database.writing() as transaction:
            if not (await transaction.connection.execute(statement)).rowcount:
                return False
            await self._events.tell(
                transaction, member.workshop, "request", member=member.id, request=request, state=state, detail=detail
            )
        return True

    async def asked(self, member: int) -> list[RequestFacts] | None:
        """What is asked of a member now; None when they are no member any more."""
        async with self._database.reading() as connection:
            if await _member_of(connection, Member.id == member) is None:
                return None
            return await requests_of(connection, Request.member_id == member, Request.state.in_(OPEN_STATES))

    async def requests(self, member: int) -> list[RequestFacts]:
        """What was asked of a member, the newest first."""
        async with self._database.reading() as connection:
            return await requests_of(connection, Request.member_id == member)

    async def attempts(self, member: MemberFacts, limit: int = 100) -> list[dict[str, Any]]:
        """The last attempts of a member in the workshop, the newest first."""
        columns = [column for column in table(Attempt).c if column.name not in ("learner_id", "workshop_id")]
        query = select(*columns).where(Attempt.learner_id == member.learner, Attempt.workshop_id == member.workshop)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(Attempt.id.desc()).limit(limit))
            return [dict(row._mapping) for row in rows]


async def _report_token(transaction: Transaction, member: MemberFacts) -> str:
    """A token for the member's meshdojo; the one before is good no longer: a member sits at one machine."""
    await transaction.connection.execute(
        delete(Token).where(Token.learner_id == member.learner, Token.scope == "report")
    )
    return await new_token(transaction, member.learner, f"workshop {member.workshop}", "report")


def name_key(name: str) -> str:
    """Names that look alike have the same key."""
    return "".join(name.casefold().split())


async def _last_member(connection: AsyncConnection, learner: int) -> MemberFacts | None:
    last = select(func.max(Member.id)).where(Member.learner_id == learner).scalar_subquery()
    return await _member_of(connection, Member.id == last)


async def _member_of(connection: AsyncConnection, *where: Any) -> MemberFacts | None:
    found = await members_of(connection, *where)
    return found[0] if found else None


async def members_of(connection: AsyncConnection, *where: Any) -> list[MemberFacts]:
    """The members that fulfil conditions, by name."""
    query = select(Member, Learner.name).join(Learner, Learner.id == Member.learner_id).where(*where)
    return [
        MemberFacts(
            row.id,
            row.workshop_id,
            row.learner_id,
            row.name,
            row.joined_at,
            row.seen_at,
            row.screen,
            row.lab,
            row.mesh,
            row.backend,
            row.version,
        )
        for row in await connection.execute(query.order_by(Member.name_key))
    ]
