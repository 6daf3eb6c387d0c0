"""What a learner has done: kept in the database, read by the pages.

'Passed at' is a fact about the past and is never taken back; what is true now is `live`'s business. An attempt and
what follows from it (how the learner stands with the task) are one transaction, and only then does anybody hear of it:
topic ``learner:ID``, kind ``attempt``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from meshdojo.web.database import Database, Transaction, table
from meshdojo.web.models import Attempt, HintOpened, QuizAnswer, TaskProgress

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


@dataclass(frozen=True)
class Standing:
    """How a learner stands with a task: the last verdict, the first pass, since when it fails, how often tried."""

    verdict: Verdict
    at: datetime
    passed_at: datetime | None
    failing_since: datetime | None
    tries: int


@dataclass(frozen=True)
class Origin:
    """Where an attempt was made, if not here: the workshop, and the key under which it was reported."""

    workshop: int
    key: str


async def keep(
    transaction: Transaction, learner: int, lab: str, task: str, verdict: Verdict, at: datetime, origin: Origin | None
) -> bool:
    """Keep an attempt and what follows from it; False when a report of this key was kept before."""
    row = {"learner_id": learner, "lab": lab, "task": task}
    found = {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "saw": verdict.saw,
        "expected": verdict.expected,
        "hint": verdict.hint,
        "seconds": verdict.seconds,
        "at": at,
    }
    where = {"workshop_id": origin.workshop, "report_key": origin.key} if origin else {}
    if not await transaction.insert_if_new(Attempt, row | found | where):
        return False
    await _stand(transaction, row, found)
    transaction.emit(f"learner:{learner}", "attempt", lab=lab)
    return True


async def _stand(transaction: Transaction, row: dict[str, Any], found: dict[str, Any]) -> None:
    """Work an attempt into the learner's standing."""
    passed, broken = found["outcome"] == "pass", found["outcome"] == "error"
    first = {
        "passed_at": found["at"] if passed else None,
        "failing_since": None if passed else found["at"],
        "tries": 1,
        "passes": int(passed),
        "errors": int(broken),
    }
    dialect = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table(TaskProgress)).values(row | found | first)
    new = statement.excluded
    later = {
        "passed_at": func.coalesce(TaskProgress.passed_at, new.passed_at),
        "failing_since": None if passed else func.coalesce(TaskProgress.failing_since, new.failing_since),
        "tries": TaskProgress.tries + 1,
        "passes": TaskProgress.passes + new.passes,
        "errors": TaskProgress.errors + new.errors,
    }
    await transaction.connection.execute(
        statement.on_conflict_do_update(index_elements=list(row), set_={name: new[name] for name in found} | later)
    )


class Progress:
    """The progress of all learners. Every method is one transaction; what it returned from is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, learner: int, lab: str, task: str, verdict: Verdict) -> datetime:
        """Keep an attempt; returns when it was made. The first pass of a task becomes its 'passed at'."""
        at = datetime.now(UTC)
        async with self._database.writing() as transaction:
            await keep(transaction, learner, lab, task, verdict, at, None)
        return at

    async def open_hint(self, learner: int, lab: str, task: str, available: int) -> int:
        """Open the next of the task's `available` hints; returns how many are open then."""
        async with self._database.writing() as transaction:
            opened = await transaction.connection.scalar(
                select(func.count()).where(
                    HintOpened.learner_id == learner, HintOpened.lab == lab, HintOpened.task == task
                )
            )
            number = min((opened or 0) + 1, available)
            row = {"learner_id": learner, "lab": lab, "task": task, "number": number, "at": datetime.now(UTC)}
            if number:
                await transaction.insert_if_new(HintOpened, row)
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
        async with self._database.writing() as transaction:
            await transaction.insert(QuizAnswer, **row)

    async def lab(self, learner: int, lab: str) -> LabProgress:
        """What the learner has done in this lab."""
        passed = select(TaskProgress.task, TaskProgress.passed_at).where(
            TaskProgress.learner_id == learner, TaskProgress.lab == lab, TaskProgress.passed_at.is_not(None)
        )
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
        async with self._database.reading() as connection:
            return LabProgress(
                {row.task: row.passed_at for row in await connection.execute(passed)},
                {row.task: row.opened for row in await connection.execute(hints)},
                {row.question: Answer(_numbers(row.choices), row.correct) for row in await connection.execute(answers)},
            )

    async def course(self, learner: int) -> dict[str, LabProgress]:
        """What the learner has passed, by lab (without hints and answers)."""
        labs: dict[str, LabProgress] = {}
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(TaskProgress.lab, TaskProgress.task, TaskProgress.passed_at).where(
                    TaskProgress.learner_id == learner, TaskProgress.passed_at.is_not(None)
                )
            )
            for lab, task, passed_at in rows:
                if passed_at:
                    labs.setdefault(lab, LabProgress()).passed_at[task] = passed_at
        return labs

    async def standing(self, learner: int, lab: str) -> dict[str, Standing]:
        """How the learner stands with each task of this lab that was tried."""
        query = select(TaskProgress).where(TaskProgress.learner_id == learner, TaskProgress.lab == lab)
        async with self._database.reading() as connection:
            return {row.task: standing_of(row) for row in await connection.execute(query)}

    async def export(self, learner: int) -> dict[str, Any]:
        """All that is kept of what the learner did, as JSON values."""
        kept: dict[str, Any] = {}
        async with self._database.reading() as connection:
            for model in (Attempt, TaskProgress, HintOpened, QuizAnswer):
                columns = [column for column in table(model).c if column.name not in ("learner_id", "report_key")]
                rows = await connection.execute(select(*columns).where(table(model).c.learner_id == learner))
                kept[model.__tablename__] = [
                    {name: _json(value) for name, value in row._mapping.items()} for row in rows
                ]
        return kept

    async def forget(self, learner: int) -> None:
        """Delete all that the learner did; who they are stays."""
        async with self._database.writing() as transaction:
            for model in (Attempt, TaskProgress, HintOpened, QuizAnswer):
                await transaction.connection.execute(delete(model).where(table(model).c.learner_id == learner))
            transaction.emit(f"learner:{learner}", "forgotten")


def standing_of(row: Any) -> Standing:
    """A row of `TaskProgress`."""
    verdict = Verdict(row.outcome, row.reason, row.saw, row.expected, row.hint, row.seconds)
    return Standing(verdict, row.at, row.passed_at, row.failing_since, row.tries)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _numbers(choices: str) -> tuple[int, ...]:
    return tuple(int(number) for number in choices.split(",") if number)
