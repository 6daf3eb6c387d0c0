"""What a learner did while reading: hints opened, quiz questions answered.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _learner() -> sa.Column[int]:
    return sa.Column("learner_id", sa.Integer, sa.ForeignKey("learner.id", ondelete="CASCADE"), nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(100), nullable=False)


def upgrade() -> None:
    op.create_table(
        "hint_opened",
        _learner(),
        _key("lab"),
        _key("task"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("learner_id", "lab", "task", "number"),
    )
    op.create_table(
        "quiz_answer",
        sa.Column("id", sa.Integer, primary_key=True),
        _learner(),
        _key("lab"),
        _key("question"),
        _key("choices"),
        sa.Column("correct", sa.Boolean, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_quiz_answer_learner_id_lab_question_at", "quiz_answer", ["learner_id", "lab", "question", "at"])


def downgrade() -> None:
    op.drop_index("ix_quiz_answer_learner_id_lab_question_at", "quiz_answer")
    op.drop_table("quiz_answer")
    op.drop_table("hint_opened")
