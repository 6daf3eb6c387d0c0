"""Accounts, sessions, tokens; workshops and their members; how a learner stands with a task.

What the attempts tell is worked into `task_progress`: its rows are made anew from them, so that a task which was tried
and never passed has a row too.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def _to(table: str, name: str = "", *, key: bool = False, index: bool = False) -> sa.Column[int]:
    name = name or f"{table}_id"
    foreign = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer, foreign, nullable=False, primary_key=key, index=index)


def _text(name: str, length: int, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def upgrade() -> None:
    _accounts()
    _workshops()
    _attempts()
    _standing()


def _accounts() -> None:
    with op.batch_alter_table("learner") as learner:
        learner.add_column(sa.Column("role", sa.String(12), nullable=False, server_default="learner"))
        learner.add_column(sa.Column("issuer", sa.String(300)))
        learner.add_column(sa.Column("subject", sa.String(300)))
        learner.create_unique_constraint("uq_learner_issuer_subject", ["issuer", "subject"])
    with op.batch_alter_table("learner") as learner:
        learner.alter_column("role", server_default=None)
    op.execute("UPDATE learner SET role = 'admin' WHERE id = 1")
    if op.get_bind().dialect.name == "postgresql":
        # The first learner was inserted with its number: the sequence has not heard of it.
        op.execute("SELECT setval(pg_get_serial_sequence('learner', 'id'), (SELECT max(id) FROM learner))")
    op.create_table(
        "session",
        _text("id", 32, key=True),
        _to("learner"),
        _text("secret_hash", 64),
        sa.Column("previous_hash", sa.String(64)),
        _text("agent", 200),
        _moment("created_at"),
        _moment("rotated_at"),
        _moment("confirmed_at", nullable=True),
        _moment("expires_at"),
    )
    op.create_table(
        "token",
        _text("id", 32, key=True),
        _to("learner"),
        _text("name", 100),
        _text("scope", 12),
        _text("secret_hash", 64),
        _moment("created_at"),
        _moment("used_at", nullable=True),
        _moment("expires_at", nullable=True),
    )


def _workshops() -> None:
    op.create_table(
        "workshop",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("title", 200),
        _text("code", 20),
        _text("backend", 20),
        _moment("starts_at"),
        _moment("ends_at"),
        sa.Column("hold_solutions", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.Integer, sa.ForeignKey("learner.id", ondelete="SET NULL")),
        _moment("created_at"),
        _moment("closed_at", nullable=True),
        sa.UniqueConstraint("code"),
    )
    op.create_table("workshop_lab", _to("workshop", key=True), _text("lab", 100, key=True), _number("position"))
    op.create_table(
        "unlock", _to("workshop", key=True), _text("lab", 100, key=True), _text("task", 100, key=True), _moment("at")
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Integer, primary_key=True),
        _to("workshop"),
        _to("learner", index=True),
        _text("name_key", 200),
        _moment("joined_at"),
        _moment("seen_at", nullable=True),
        sa.Column("screen", sa.Boolean, nullable=False),
        _text("lab", 100),
        _text("mesh", 20),
        _text("backend", 20),
        _text("version", 40),
        sa.UniqueConstraint("workshop_id", "learner_id"),
        sa.UniqueConstraint("workshop_id", "name_key"),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Integer, primary_key=True),
        _to("workshop", index=True),
        _text("author", 200),
        sa.Column("text", sa.Text, nullable=False),
        _moment("at"),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.Integer, primary_key=True),
        _to("member", index=True),
        _text("kind", 10),
        _text("lab", 100),
        _text("author", 200),
        _text("state", 12),
        sa.Column("detail", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("ended_at", nullable=True),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        _number("tries"),
        sa.Column("due_at", MOMENT, nullable=False, index=True),
        _moment("created_at"),
    )
    op.create_table(
        "membership",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("site", 500),
        _text("token", 200),
        _text("workshop", 200),
        _text("name", 200),
        sa.Column("labs", sa.Text, nullable=False),
        sa.Column("screen", sa.Boolean, nullable=False),
        _number("reported"),
        _number("read"),
        _moment("joined_at"),
        _moment("left_at", nullable=True),
    )


def _attempts() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("hint", sa.Text, nullable=False, server_default=""))
        attempt.add_column(sa.Column("report_key", sa.String(60)))
        attempt.add_column(sa.Column("workshop_id", sa.Integer))
        attempt.create_foreign_key("fk_attempt_workshop_id", "workshop", ["workshop_id"], ["id"], ondelete="SET NULL")
        attempt.create_unique_constraint("uq_attempt_learner_id_report_key", ["learner_id", "report_key"])
    with op.batch_alter_table("attempt") as attempt:
        attempt.alter_column("hint", server_default=None)
        attempt.create_index("ix_attempt_workshop_id_id", ["workshop_id", "id"])


LAST = """
    SELECT a.learner_id, a.lab, a.task, p.passed_at, a.outcome, a.reason, a.saw, a.expected, a.hint, a.seconds, a.at,
        (SELECT min(f.at) FROM attempt f WHERE f.learner_id = a.learner_id AND f.lab = a.lab AND f.task = a.task
            AND f.outcome <> 'pass' AND f.id > coalesce((SELECT max(q.id) FROM attempt q
                WHERE q.learner_id = a.learner_id AND q.lab = a.lab AND q.task = a.task AND q.outcome = 'pass'), 0)),
        (SELECT count(*) FROM attempt c WHERE c.learner_id = a.learner_id AND c.lab = a.lab AND c.task = a.task),
        (SELECT count(*) FROM attempt c WHERE c.learner_id = a.learner_id AND c.lab = a.lab AND c.task = a.task
            AND c.outcome = 'pass'),
        (SELECT count(*) FROM attempt c WHERE c.learner_id = a.learner_id AND c.lab = a.lab AND c.task = a.task
            AND c.outcome = 'error')
    FROM attempt a LEFT JOIN passed_once p ON p.learner_id = a.learner_id AND p.lab = a.lab AND p.task = a.task
    WHERE a.id = (SELECT max(b.id) FROM attempt b
        WHERE b.learner_id = a.learner_id AND b.lab = a.lab AND b.task = a.task)
"""
# Passed, but the attempt is not there (it cannot be: both are written in one transaction): nothing is dropped.
WITHOUT_ATTEMPT = """
    SELECT p.learner_id, p.lab, p.task, p.passed_at, 'pass', '', '', '', '', 0, p.passed_at, NULL, 1, 1, 0
    FROM passed_once p WHERE NOT EXISTS (SELECT 1 FROM attempt a
        WHERE a.learner_id = p.learner_id AND a.lab = p.lab AND a.task = p.task)
"""


def _standing() -> None:
    op.rename_table("task_progress", "passed_once")
    if op.get_bind().dialect.name == "postgresql":
        # A constraint keeps its name when its table gets another.
        op.execute("ALTER TABLE passed_once RENAME CONSTRAINT pk_task_progress TO pk_passed_once")
        op.execute("ALTER TABLE passed_once RENAME CONSTRAINT fk_task_progress_learner_id TO fk_passed_once_learner_id")
    op.create_table(
        "task_progress",
        _to("learner", key=True),
        _text("lab", 100, key=True),
        _text("task", 100, key=True),
        _moment("passed_at", nullable=True),
        _text("outcome", 10),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "saw", "expected", "hint")),
        sa.Column("seconds", sa.Double, nullable=False),
        _moment("at"),
        _moment("failing_since", nullable=True),
        _number("tries"),
        _number("passes"),
        _number("errors"),
    )
    op.execute(f"INSERT INTO task_progress {LAST}")
    op.execute(f"INSERT INTO task_progress {WITHOUT_ATTEMPT}")
    op.drop_table("passed_once")


def downgrade() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_index("ix_attempt_workshop_id_id")
        attempt.drop_constraint("uq_attempt_learner_id_report_key", type_="unique")
        attempt.drop_constraint("fk_attempt_workshop_id", type_="foreignkey")
        attempt.drop_column("workshop_id")
        attempt.drop_column("report_key")
        attempt.drop_column("hint")
    op.execute("DELETE FROM task_progress WHERE passed_at IS NULL")
    with op.batch_alter_table("task_progress") as progress:
        for name in ("outcome", "reason", "saw", "expected", "hint", "seconds", "at", "failing_since"):
            progress.drop_column(name)
        for name in ("tries", "passes", "errors"):
            progress.drop_column(name)
        progress.alter_column("passed_at", nullable=False)
    for table in ("membership", "delivery", "request", "message", "member", "unlock", "workshop_lab", "workshop"):
        op.drop_table(table)
    for table in ("token", "session"):
        op.drop_table(table)
    with op.batch_alter_table("learner") as learner:
        learner.drop_constraint("uq_learner_issuer_subject", type_="unique")
        for name in ("role", "issuer", "subject"):
            learner.drop_column(name)
