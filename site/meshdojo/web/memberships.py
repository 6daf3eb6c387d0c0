"""The workshop elsewhere that the owner of this machine takes part in: joined, kept, left.

The row in the database is all there is to it: the command line writes it, and a site that runs takes notice. What has
been reported is a place among the attempts, moved on only when the other side has said that it has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import func, select, update

from meshdojo.errors import UsageError, UserError
from meshdojo.web.database import Database, table
from meshdojo.web.models import LOCAL_LEARNER, Attempt, HintOpened
from meshdojo.web.models import Membership as Row

PATIENCE = 20.0
TOPIC = "membership"


class JoinError(UserError):
    """The workshop cannot be joined; the text says why and what to do."""


class BadInvitation(JoinError, UsageError):
    """What was given to join with is none."""


@dataclass(frozen=True)
class Membership:
    """A workshop that the owner has joined. `reported` and `read` are the last attempt and message dealt with."""

    id: int
    site: str
    token: str
    workshop: str
    name: str
    labs: tuple[str, ...]
    screen: bool
    reported: int
    read: int
    joined_at: datetime


@dataclass(frozen=True)
class Invitation:
    """What somebody was given to join with: the site, and the code."""

    site: str
    code: str


def invitation(address: str, code: str = "") -> Invitation:
    """From an address and a code, or from the one link that has both. Raises `BadInvitation`."""
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInvitation(f"{address!r} is no address of a workshop. It begins with http:// or https://.")
    before, found, in_link = parts.path.partition("/join/")
    code = code.strip() or in_link.strip("/")
    if not code:
        raise BadInvitation("The code is missing. The instructor shows it; it looks like KX4T-9TQB.")
    return Invitation(f"{parts.scheme}://{parts.netloc}{before.rstrip('/') if found else ''}", code)


async def ask_to_join(invited: Invitation, name: str, transport: httpx.AsyncBaseTransport | None = None) -> Any:
    """Knock at the workshop's site; returns its welcome. Raises `JoinError` with what it says."""
    try:
        async with httpx.AsyncClient(base_url=invited.site, timeout=PATIENCE, transport=transport) as http:
            answer = await http.post("/api/v1/join", json={"code": invited.code, "name": name})
    except httpx.HTTPError as error:
        raise JoinError(f"{invited.site} cannot be reached: {error or type(error).__name__}") from error
    try:
        body = answer.json()
        if answer.status_code == 201:
            return body
        raise JoinError(str(body["detail"]))
    except (ValueError, KeyError, TypeError):
        raise JoinError(f"{invited.site} answered as no meshdojo does (status {answer.status_code}).") from None


class Memberships:
    """The memberships of the owner of this machine. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def current(self) -> Membership | None:
        """The workshop that goes on."""
        query = select(Row).where(Row.left_at.is_(None)).order_by(Row.id.desc()).limit(1)
        async with self.database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _membership(row) if row else None

    async def join(
        self, invited: Invitation, name: str, screen: bool, transport: httpx.AsyncBaseTransport | None = None
    ) -> Membership:
        """Join a workshop; one that goes on is left behind. Raises `JoinError`."""
        welcome = await ask_to_join(invited, name, transport)
        now = datetime.now(UTC)
        row = {"site": invited.site, "token": welcome["token"], "name": welcome["name"], "screen": screen}
        row |= {"workshop": welcome["workshop"]["title"], "labs": json.dumps(welcome["workshop"]["labs"])}
        async with self.database.writing() as transaction:
            # What was done before is not the workshop's business.
            reported = await transaction.connection.scalar(select(func.max(Attempt.id))) or 0
            await transaction.connection.execute(update(Row).where(Row.left_at.is_(None)).values(left_at=now))
            await transaction.insert(Row, **row, reported=reported, read=0, joined_at=now)
            transaction.emit(TOPIC, "changed")
        found = await self.current()
        assert found is not None
        return found

    async def leave(self, membership: int) -> None:
        """The workshop is over for us; its token is forgotten."""
        await self._change(membership, left_at=datetime.now(UTC), token="")

    async def share_screen(self, membership: int, *, share: bool) -> None:
        """Allow the terminal to be looked at, or not."""
        await self._change(membership, screen=share)

    async def learn(self, membership: int, workshop: str, labs: Sequence[str]) -> None:
        """The workshop's plan has changed."""
        await self._change(membership, workshop=workshop, labs=json.dumps(list(labs)))

    async def put_away(self, membership: int, message: int) -> None:
        """Messages up to this one were read."""
        await self._change(membership, read=message)

    async def reported(self, membership: int, attempt: int) -> None:
        """The other side has every attempt up to this one."""
        await self._change(membership, told=False, reported=attempt)

    async def _change(self, membership: int, *, told: bool = True, **values: Any) -> None:
        async with self.database.writing() as transaction:
            await transaction.connection.execute(update(Row).where(Row.id == membership).values(**values))
            if told:
                transaction.emit(TOPIC, "changed")

    async def unreported(self, membership: Membership, limit: int) -> tuple[list[dict[str, Any]], int]:
        """The next attempts to report, and the place after them (also past those that are not the workshop's)."""
        query = (
            select(table(Attempt))
            .where(Attempt.learner_id == LOCAL_LEARNER, Attempt.id > membership.reported)
            .order_by(Attempt.id)
            .limit(limit)
        )
        now = datetime.now(UTC)
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).all()
        place = rows[-1].id if rows else membership.reported
        return [_report(row, membership, now) for row in rows if row.lab in membership.labs], place

    async def last_lab(self) -> str:
        """The lab that the owner tried last; '' when there is none."""
        query = select(Attempt.lab).where(Attempt.learner_id == LOCAL_LEARNER).order_by(Attempt.id.desc()).limit(1)
        async with self.database.reading() as connection:
            return await connection.scalar(query) or ""

    async def hints(self, labs: Sequence[str]) -> list[dict[str, Any]]:
        """How many hints are open, as the API wants it."""
        columns = (HintOpened.lab, HintOpened.task)
        query = select(*columns, func.max(HintOpened.number)).where(HintOpened.learner_id == LOCAL_LEARNER)
        async with self.database.reading() as connection:
            rows = await connection.execute(query.where(HintOpened.lab.in_(labs)).group_by(*columns))
            return [{"lab": lab, "task": task, "opened": number} for lab, task, number in rows]


def _membership(row: Any) -> Membership:
    labs = tuple(json.loads(row.labs))
    return Membership(
        row.id, row.site, row.token, row.workshop, row.name, labs, row.screen, row.reported, row.read, row.joined_at
    )


def _report(row: Any, membership: Membership, now: datetime) -> dict[str, Any]:
    """An attempt as the API wants it. The key is the same however often it is sent."""
    texts = {name: getattr(row, name)[:4000] for name in ("reason", "saw", "expected", "hint")}
    age = max((now - row.at).total_seconds(), 0.0)
    known = {"key": f"{membership.id}:{row.id}", "lab": row.lab, "task": row.task, "outcome": row.outcome}
    return known | texts | {"seconds": max(row.seconds, 0.0), "age": age}
