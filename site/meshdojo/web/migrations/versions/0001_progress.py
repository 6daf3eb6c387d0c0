"""Learners, their attempts and what they passed.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _learner() -> sa.Column[int]:
    return sa.Column("learner_id", sa.Integer, sa.ForeignKey("learner.id", ondelete="CASCADE"), nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(100), nullable=False)


def upgrade() -> None:
    learner = op.create_table(
        "learner",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.bulk_insert(learner, [{"id": 1, "name": "local", "created_at": datetime.now(UTC)}])
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer, primary_key=True),
        _learner(),
        _key("lab"),
        _key("task"),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("saw", sa.Text, nullable=False),
        sa.Column("expected", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_attempt_learner_id_lab_task_at", "attempt", ["learner_id", "lab", "task", "at"])
    op.create_table(
        "task_progress",
        _learner(),
        _key("lab"),
        _key("task"),
        sa.Column("passed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("learner_id", "lab", "task"),
    )


def downgrade() -> None:
    op.drop_table("task_progress")
    op.drop_index("ix_attempt_learner_id_lab_task_at", "attempt")
    op.drop_table("attempt")
    op.drop_table("learner")
