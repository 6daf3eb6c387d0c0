"""The tables of the database.

    learner ─┬─ attempt        every run of a task's checks, with what it found
             ├─ task_progress  how a learner stands with a task: what its last attempt found, when it first passed
             ├─ hint_opened    how many hints of a task are open
             ├─ quiz_answer    every answer given
             ├─ session        a browser that is signed in
             ├─ token          a program that may speak for somebody
             └─ member ──────── request   what an instructor asks a member's own meshdojo to do
                  │
    workshop ─────┼─ workshop_lab   the labs that were chosen
                  ├─ unlock         the solutions that the instructor has given away
                  ├─ message        what was said to everybody
                  └─ delivery       an event that a webhook has not acknowledged yet

    membership  the other side: the workshop elsewhere that this machine's owner reports to

A lab, a task and a question are known by the ids that the course gives them: the course is files, not rows, so a lab
that is renamed or removed leaves its rows behind unharmed. Alone on a laptop there is one learner, `LOCAL_LEARNER`.
Secrets (of sessions and tokens) are kept as hashes; a membership's token must be sent, so it is kept as it is, in a
database that only its owner can read.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
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


def _owner(column: str) -> Mapped[int]:
    """A foreign key whose row goes when that one goes."""
    return mapped_column(ForeignKey(column, ondelete="CASCADE"))


def _owner_key(column: str) -> Mapped[int]:
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), primary_key=True)


class Learner(Base):
    """A person: somebody who takes the course, teaches it (`role` instructor) or runs the site (`role` admin).

    `issuer` and `subject` name the account of an OpenID Connect provider; NULL for whoever came with a token or a code.
    """

    __tablename__ = "learner"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(12))
    issuer: Mapped[str | None] = mapped_column(String(300))
    subject: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime]


class Session(Base):
    """A browser that is signed in. Its cookie carries `id` and a secret that changes every hour.

    `previous_hash` is the secret before, good until the new one has been seen: an answer may get lost on its way.
    """

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    learner_id: Mapped[int] = _owner("learner.id")
    secret_hash: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class Token(Base):
    """A personal token: a program that speaks for a learner. `scope` is 'all', 'report' or 'pair' (see `accounts`)."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    learner_id: Mapped[int] = _owner("learner.id")
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(12))
    secret_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class Attempt(Base):
    """One run of a task's checks. `outcome` is pass, fail or error; `seconds` how long it took.

    An attempt that was reported from elsewhere carries the workshop it was made in and a `report_key` by which a report
    that comes twice is recognised.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index(None, "learner_id", "lab", "task", "at"),
        Index(None, "workshop_id", "id"),
        UniqueConstraint("learner_id", "report_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    learner_id: Mapped[int] = _owner("learner.id")
    workshop_id: Mapped[int | None] = mapped_column(ForeignKey("workshop.id", ondelete="SET NULL"))
    report_key: Mapped[str | None] = mapped_column(String(60))
    lab: Mapped[str] = mapped_column(String(100))
    task: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    saw: Mapped[str] = mapped_column(Text)
    expected: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float]
    at: Mapped[datetime]


class TaskProgress(Base):
    """How a learner stands with a task.

    `passed_at` is the first pass, never taken back (NULL: not yet). The last attempt is repeated here, so that a room
    is read without its history: `outcome`, `reason`, … `at`. `failing_since` is the first of the attempts since the
    last pass (NULL when the last one passed), `tries` counts all of them.
    """

    __tablename__ = "task_progress"

    learner_id: Mapped[int] = _owner_key("learner.id")
    lab: Mapped[str] = mapped_column(String(100), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    passed_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    saw: Mapped[str] = mapped_column(Text)
    expected: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float]
    at: Mapped[datetime]
    failing_since: Mapped[datetime | None]
    tries: Mapped[int]
    passes: Mapped[int]
    errors: Mapped[int]


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


class Workshop(Base):
    """A group with a roster. `code` is what a learner types to join; `closed_at` is set when the instructor ends it.

    `backend` is where its learners' meshes run ('' for wherever they like). With `hold_solutions` the last hint of a
    task stays shut until it is unlocked.
    """

    __tablename__ = "workshop"
    __table_args__ = (UniqueConstraint("code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    code: Mapped[str] = mapped_column(String(20))
    backend: Mapped[str] = mapped_column(String(20))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    hold_solutions: Mapped[bool]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("learner.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class WorkshopLab(Base):
    """A lab of a workshop, in the order of `position`."""

    __tablename__ = "workshop_lab"

    workshop_id: Mapped[int] = _owner_key("workshop.id")
    lab: Mapped[str] = mapped_column(String(100), primary_key=True)
    position: Mapped[int]


class Unlock(Base):
    """The solution of a task that the instructor has given away."""

    __tablename__ = "unlock"

    workshop_id: Mapped[int] = _owner_key("workshop.id")
    lab: Mapped[str] = mapped_column(String(100), primary_key=True)
    task: Mapped[str] = mapped_column(String(100), primary_key=True)
    at: Mapped[datetime]


class Member(Base):
    """A learner in a workshop. What their meshdojo said last of itself: `lab`, `mesh`, `backend`, `version`.

    `name_key` is the name without case and spaces: no two members look alike. `seen_at` moves while the member's
    meshdojo is connected. `screen` says whether its terminal may be looked at.
    """

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("workshop_id", "learner_id"), UniqueConstraint("workshop_id", "name_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    workshop_id: Mapped[int] = _owner("workshop.id")
    learner_id: Mapped[int] = mapped_column(ForeignKey("learner.id", ondelete="CASCADE"), index=True)
    name_key: Mapped[str] = mapped_column(String(200))
    joined_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    screen: Mapped[bool]
    lab: Mapped[str] = mapped_column(String(100))
    mesh: Mapped[str] = mapped_column(String(20))
    backend: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(40))


class Message(Base):
    """What an instructor said to everybody in the room."""

    __tablename__ = "message"

    id: Mapped[int] = mapped_column(primary_key=True)
    workshop_id: Mapped[int] = mapped_column(ForeignKey("workshop.id", ondelete="CASCADE"), index=True)
    author: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Request(Base):
    """What an instructor asks of a member: to reset a lab, or to show the screen. The member's meshdojo carries it out.

    `kind` is reset or screen; `state` asked, accepted, refused, done, failed or withdrawn; `detail` is why it failed.
    """

    __tablename__ = "request"

    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    lab: Mapped[str] = mapped_column(String(100))
    author: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(12))
    detail: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Delivery(Base):
    """An event on its way to the webhook; gone once it is acknowledged or too old. `due_at` is the next try."""

    __tablename__ = "delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    tries: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]


class Membership(Base):
    """The workshop that the owner of this machine takes part in: where it is, and what has been reported.

    Attempts up to `reported` (an attempt's id) have been acknowledged by the workshop's site; `read` is the last
    message that was put away. One row has no `left_at`: the workshop that goes on.
    """

    __tablename__ = "membership"

    id: Mapped[int] = mapped_column(primary_key=True)
    site: Mapped[str] = mapped_column(String(500))
    token: Mapped[str] = mapped_column(String(200))
    workshop: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    labs: Mapped[str] = mapped_column(Text)
    screen: Mapped[bool]
    reported: Mapped[int]
    read: Mapped[int]
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
