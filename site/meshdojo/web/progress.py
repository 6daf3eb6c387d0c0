"""What a learner has done: kept in the database, read by the pages.

'Passed at' is a fact about the past and is never taken back; what is true now is `live`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from meshdojo.web.models import Attempt, Base, HintOpened, QuizAnswer, TaskProgress

OutcomeName = Literal["pass", "fail", "error"]


@dataclass(frozen=True)
class Verdict:
    """What a run of a task's checks found. `reason`, `saw`, `expected` and `hint` are sentences for the learner."""

    outcome: OutcomeName
    reason: str = ""
    saw: str = ""
    expected: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """The last answer to a quiz question: the choices ticked (numbers from 0), and whether that was right."""

    choices: tuple[int, ...]
    correct: bool


@dataclass(frozen=True)
class LabProgress:
    """What one learner has done in one lab. Keys are task ids and question ids."""

    passed_at: dict[str, datetime] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def passed(self, tasks: Iterable[str]) -> int:
        """How many of these tasks have passed at some time (tasks no longer in the course do not count)."""
        return sum(task in self.passed_at for task in tasks)


class Progress:
    """The progress of all learners. Every method is one transaction; what it returned from is on disk."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, learner: int, lab: str, task: str, verdict: Verdict) -> datetime:
        """Keep an attempt; returns when it was made. The first pass of a task becomes its 'passed at'."""
        at = datetime.now(UTC)
        row = {"learner_id": learner, "lab": lab, "task": task}
        attempt = {
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "saw": verdict.saw,
            "expected": verdict.expected,
            "seconds": verdict.seconds,
            "at": at,
        }
        async with self._engine.begin() as connection:
            await connection.execute(_table(Attempt).insert().values(row | attempt))
            if verdict.outcome == "pass":
                await _insert_if_new(connection, _table(TaskProgress), row | {"passed_at": at})
        return at

    async def open_hint(self, learner: int, lab: str, task: str, available: int) -> int:
        """Open the next of the task's `available` hints; returns how many are open then."""
        async with self._engine.begin() as connection:
            opened = await connection.scalar(
                select(func.count()).where(
                    HintOpened.learner_id == learner, HintOpened.lab == lab, HintOpened.task == task
                )
            )
            number = min((opened or 0) + 1, available)
            row = {"learner_id": learner, "lab": lab, "task": task, "number": number, "at": datetime.now(UTC)}
            if number:
                await _insert_if_new(connection, _table(HintOpened), row)
        return number

    async def answer(self, learner: int, lab: str, question: str, answer: Answer) -> None:
        """Keep an answer to a quiz question."""
        row = {
            "learner_id": learner,
            "lab": lab,
            "question": question,
            "choices": ",".join(map(str, answer.choices)),
            "correct": answer.correct,
            "at": datetime.now(UTC),
        }
        async with self._engine.begin() as connection:
            await connection.execute(_table(QuizAnswer).insert().values(row))

    async def lab(self, learner: int, lab: str) -> LabProgress:
        """What the learner has done in this lab."""
        passed = select(TaskProgress).where(TaskProgress.learner_id == learner, TaskProgress.lab == lab)
        hints = (
            select(HintOpened.task, func.max(HintOpened.number).label("opened"))
            .where(HintOpened.learner_id == learner, HintOpened.lab == lab)
            .group_by(HintOpened.task)
        )
        answers = (
            select(QuizAnswer)
            .where(QuizAnswer.learner_id == learner, QuizAnswer.lab == lab)
            .order_by(QuizAnswer.at, QuizAnswer.id)
        )
        async with self._engine.connect() as connection:
            return LabProgress(
                {row.task: row.passed_at for row in await connection.execute(passed)},
                {row.task: row.opened for row in await connection.execute(hints)},
                {row.question: Answer(_numbers(row.choices), row.correct) for row in await connection.execute(answers)},
            )

    async def course(self, learner: int) -> dict[str, LabProgress]:
        """What the learner has passed, by lab (without hints and answers)."""
        labs: dict[str, LabProgress] = {}
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(TaskProgress.lab, TaskProgress.task, TaskProgress.passed_at).where(
                    TaskProgress.learner_id == learner
                )
            )
            for lab, task, passed_at in rows:
                labs.setdefault(lab, LabProgress()).passed_at[task] = passed_at
        return labs


def _numbers(choices: str) -> tuple[int, ...]:
    return tuple(int(number) for number in choices.split(",") if number)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


async def _insert_if_new(connection: AsyncConnection, table: Table, row: dict[str, Any]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    await connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())
