"""Alembic's entry: runs the migrations on the connection that `meshdojo.web.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from meshdojo.web.models import Base

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a table in place.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
