"""The tables of the database.

    learner ─┬─ attempt        every run of a task's checks, with what it found
             ├─ task_progress  when a task passed for the first time (kept apart from what is true now)
             ├─ hint_opened    how many hints of a task are open
             └─ quiz_answer    every answer given

A lab, a task and a question are known by the ids that the course gives them: the course is files, not rows, so a lab
that is renamed or removed leaves its rows behind unharmed. Alone on a laptop there is one learner, `LOCAL_LEARNER`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

LOCAL_LEARNER = 1

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC. SQLite has no time zones: there it is stored without, and read back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value}: a time without a zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of the tables; constraint names are fixed so that migrations can name them on every database."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UTCDateTime}  # noqa: RUF012 - SQLAlchemy's own declaration


class Learner(Base):
    """Somebody who takes the course."""

    __tablename__ = "learner"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class Attempt(Base):
    """One run of a task's checks. `outcome` is pass, fail or error; `seconds` how long it took."""

    __tablename__ = "attempt"
    __table_args__ = (Index(None, "learner_id", "lab", "task", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    learner_id: Mapped[int] = mapped_column(ForeignKey("learner.id", ondelete="CASCADE"))
    lab: Mapped[str] = mapped_column(String(100))
    task: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    saw: Mapped[str] = mapped_column(Text)
    expected: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float]
    at: Mapped[datetime]


class TaskProgress(Base):
    """The first time a learner's task passed."""

    __tablename__ = "task_progress"

    learner_id: Mapped[int] = mapped_column(ForeignKey("learner.id", ondelete="CASCADE"), primary_key=True)
    lab: Mapped[str] = mapped_column(String(100), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    passed_at: Mapped[datetime]


class HintOpened(Base):
    """A learner opened hint `number` (from 1) of a task."""

    __tablename__ = "hint_opened"

    learner_id: Mapped[int] = mapped_column(ForeignKey("learner.id", ondelete="CASCADE"), primary_key=True)
    lab: Mapped[str] = mapped_column(String(100), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class QuizAnswer(Base):
    """An answer to a question of a lab's quiz. `choices` are the numbers (from 0) ticked, as text: '0,2'."""

    __tablename__ = "quiz_answer"
    __table_args__ = (Index(None, "learner_id", "lab", "question", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    learner_id: Mapped[int] = mapped_column(ForeignKey("learner.id", ondelete="CASCADE"))
    lab: Mapped[str] = mapped_column(String(100))
    question: Mapped[str] = mapped_column(String(100))
    choices: Mapped[str] = mapped_column(String(100))
    correct: Mapped[bool]
    at: Mapped[datetime]
