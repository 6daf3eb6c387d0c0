"""The room as an instructor sees it: a row for each member, a cell for each task, and who is stuck.

Where somebody *is* in a lab is the first task of it that has not passed: the checks of all tasks run at every change,
so that a task far ahead 'fails' all the time and says nothing. Somebody is **stuck** whose task there was judged a
fail, and has been for `STUCK`, counted from when they came to it (the first fail, the pass before it or the joining,
whichever was last).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from meshdojo.web.database import Database
from meshdojo.web.members import MemberFacts, members_of
from meshdojo.web.models import HintOpened, Member, Request, TaskProgress
from meshdojo.web.progress import Standing, standing_of
from meshdojo.web.views import Chapter, TaskStateName
from meshdojo.web.workshops import OPEN_STATES, RequestFacts, WorkshopFacts, requests_of

STUCK = timedelta(minutes=10)
# A member's meshdojo says every ten seconds that it is there.
ONLINE = timedelta(seconds=30)
PORTION = 50

Place = Literal["away", "working", "stuck", "broken", "done"]


@dataclass(frozen=True)
class Column:
    """A task of a lab of the workshop. `number` counts from 1 within the lab."""

    lab: str
    lab_title: str
    task: str
    number: int
    title: str

    @property
    def key(self) -> tuple[str, str]:
        """(lab, task)"""
        return self.lab, self.task


@dataclass(frozen=True)
class Cell:
    """A member's state of a task."""

    column: Column
    state: TaskStateName
    standing: Standing | None
    hints: int


@dataclass(frozen=True)
class Row:
    """A member. `current` is the cell they are at, `since` when they came to it."""

    member: MemberFacts
    cells: tuple[Cell, ...]
    current: Cell | None
    since: datetime | None
    place: Place
    online: bool
    asked: tuple[RequestFacts, ...]

    @property
    def passed(self) -> int:
        """How many tasks have passed at some time."""
        return sum(cell.state in ("passed", "lapsed") for cell in self.cells)

    @property
    def reason(self) -> str:
        """Why the task that they are at does not pass."""
        standing = self.current.standing if self.current else None
        return standing.verdict.reason if standing and standing.verdict.outcome != "pass" else ""


def columns_of(workshop: WorkshopFacts, chapters: Sequence[Chapter]) -> tuple[Column, ...]:
    """The tasks of the workshop's labs, in its order; labs that this site does not have are left out."""
    by_name = {chapter.name: chapter for chapter in chapters}
    return tuple(
        Column(lab, by_name[lab].title, task.id, task.number, task.title)
        for lab in workshop.labs
        if lab in by_name
        for task in by_name[lab].tasks
    )


class Roster:
    """Reads rows from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(
        self, workshop: int, columns: Sequence[Column], members: Collection[int] | None = None
    ) -> dict[int, Row]:
        """The rows of a workshop, or of some of its members; by member, in the order of their names."""
        where = [Member.workshop_id == workshop]
        if members is not None:
            where.append(Member.id.in_(members))
        async with self._database.reading() as connection:
            found = await members_of(connection, *where)
        rows: dict[int, Row] = {}
        # In portions, that nobody has to wait for a large room.
        for start in range(0, len(found), PORTION):
            rows |= await self._portion(found[start : start + PORTION], columns)
        return rows

    async def again(self, workshop: int, rows: dict[int, Row]) -> dict[int, Row]:
        """The same rows as time has passed: who is there, and who is stuck by now."""
        async with self._database.reading() as connection:
            found = await members_of(connection, Member.workshop_id == workshop)
        now = datetime.now(UTC)
        return {
            member.id: _row(member, rows[member.id].cells, rows[member.id].asked, now)
            for member in found
            if member.id in rows
        }

    async def _portion(self, found: Sequence[MemberFacts], columns: Sequence[Column]) -> dict[int, Row]:
        learners = [member.learner for member in found]
        async with self._database.reading() as connection:
            standings = await _standings(connection, learners)
            hints = await _hints(connection, learners)
            asked = await requests_of(
                connection, Request.member_id.in_([member.id for member in found]), Request.state.in_(OPEN_STATES)
            )
        now = datetime.now(UTC)
        return {
            member.id: make_row(
                member,
                columns,
                standings.get(member.learner, {}),
                hints.get(member.learner, {}),
                [request for request in asked if request.member == member.id],
                now,
            )
            for member in found
        }


async def _standings(
    connection: AsyncConnection, learners: Collection[int]
) -> dict[int, dict[tuple[str, str], Standing]]:
    found: dict[int, dict[tuple[str, str], Standing]] = {}
    for row in await connection.execute(select(TaskProgress).where(TaskProgress.learner_id.in_(learners))):
        found.setdefault(row.learner_id, {})[row.lab, row.task] = standing_of(row)
    return found


async def _hints(connection: AsyncConnection, learners: Collection[int]) -> dict[int, dict[tuple[str, str], int]]:
    keys = (HintOpened.learner_id, HintOpened.lab, HintOpened.task)
    query = select(*keys, func.max(HintOpened.number)).where(HintOpened.learner_id.in_(learners)).group_by(*keys)
    found: dict[int, dict[tuple[str, str], int]] = {}
    for learner, lab, task, opened in await connection.execute(query):
        found.setdefault(learner, {})[lab, task] = opened
    return found


def make_row(
    member: MemberFacts,
    columns: Sequence[Column],
    standings: dict[tuple[str, str], Standing],
    hints: dict[tuple[str, str], int],
    asked: Sequence[RequestFacts],
    now: datetime,
) -> Row:
    """A row, from what is known of a member at a moment."""
    cells = tuple(_cell(column, standings.get(column.key), hints.get(column.key, 0)) for column in columns)
    return _row(member, cells, tuple(asked), now)


def _row(member: MemberFacts, cells: tuple[Cell, ...], asked: tuple[RequestFacts, ...], now: datetime) -> Row:
    current = _current(member, cells)
    since = _since(member, cells, current)
    online = member.seen_at is not None and now - member.seen_at <= ONLINE
    return Row(member, cells, current, since, _place(cells, current, since, online, now), online, asked)


def _cell(column: Column, standing: Standing | None, hints: int) -> Cell:
    state: TaskStateName = "idle"
    if standing and standing.verdict.outcome == "pass":
        state = "passed"
    elif standing and standing.passed_at:
        state = "lapsed" if standing.verdict.outcome == "fail" else "passed"
    elif standing:
        state = "notyet" if standing.verdict.outcome == "fail" else "error"
    return Cell(column, state, standing, hints)


def _current(member: MemberFacts, cells: Sequence[Cell]) -> Cell | None:
    """The first task that is open, in the lab that they have before them; else in any."""
    still = [cell for cell in cells if cell.state not in ("passed", "lapsed")]
    tried = {cell.column.lab for cell in cells if cell.standing}
    for lab in (member.lab, *reversed([cell.column.lab for cell in cells if cell.column.lab in tried])):
        here = [cell for cell in still if cell.column.lab == lab]
        if here:
            return here[0]
    return still[0] if still else None


def _since(member: MemberFacts, cells: Sequence[Cell], current: Cell | None) -> datetime | None:
    if current is None or current.standing is None or current.standing.failing_since is None:
        return None
    passes = [
        cell.standing.passed_at
        for cell in cells
        if cell.column.lab == current.column.lab and cell.standing and cell.standing.passed_at
    ]
    return max([current.standing.failing_since, member.joined_at, *passes])


def _place(cells: Sequence[Cell], current: Cell | None, since: datetime | None, online: bool, now: datetime) -> Place:
    if cells and current is None:
        return "done"
    if not online:
        return "away"
    if current and current.state == "error":
        return "broken"
    return "stuck" if since and now - since >= STUCK else "working"
