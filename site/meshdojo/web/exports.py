"""What a workshop leaves: one CSV for a spreadsheet, one JSON with everything."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from meshdojo.web.database import Database
from meshdojo.web.models import Attempt, Learner
from meshdojo.web.roster import Column, Row
from meshdojo.web.workshops import WorkshopFacts

PORTION = 500
ATTEMPT_FIELDS = ("at", "name", "lab", "task", "outcome", "reason", "saw", "expected", "hint", "seconds")
# What a spreadsheet takes for a formula when a field begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(value: object) -> object:
    """A field that no spreadsheet runs: a learner may be called '=HYPERLINK(…)'."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def line(fields: Sequence[object]) -> str:
    """A line of CSV (RFC 4180)."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([plain(field) for field in fields])
    return buffer.getvalue()


async def attempts(database: Database, workshop: int) -> AsyncIterator[dict[str, Any]]:
    """Every attempt of a workshop, oldest first, without holding more than a portion in memory."""
    columns = [getattr(Attempt, name) for name in ATTEMPT_FIELDS if name != "name"]
    last = 0
    while True:
        query = (
            select(Attempt.id, Learner.name, *columns)
            .join(Learner, Learner.id == Attempt.learner_id)
            .where(Attempt.workshop_id == workshop, Attempt.id > last)
            .order_by(Attempt.id)
            .limit(PORTION)
        )
        async with database.reading() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            kept = row._mapping
            yield {name: kept[name] for name in ATTEMPT_FIELDS} | {"at": kept["at"].isoformat()}
        if len(rows) < PORTION:
            return
        last = rows[-1].id


async def attempts_csv(database: Database, workshop: int) -> AsyncIterator[str]:
    """Every attempt as CSV, with a head line."""
    yield line(ATTEMPT_FIELDS)
    async for attempt in attempts(database, workshop):
        yield line([attempt[name] for name in ATTEMPT_FIELDS])


def roster_csv(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """The grid as CSV: a line for each learner, and for each task when it passed and how often it was tried."""
    head = ["name", "joined_at", "passed", "tasks"]
    for column in columns:
        head += [f"{column.lab}/{column.task} passed_at", f"{column.lab}/{column.task} tries"]
    text = line(head)
    for row in rows:
        fields: list[object] = [row.member.name, row.member.joined_at.isoformat(), row.passed, len(columns)]
        for cell in row.cells:
            standing = cell.standing
            fields += [_moment(standing.passed_at) if standing else "", standing.tries if standing else 0]
        text += line(fields)
    return text


async def export_json(
    database: Database, workshop: WorkshopFacts, columns: Sequence[Column], rows: Sequence[Row]
) -> dict[str, Any]:
    """The workshop, its learners and every attempt."""
    return {
        "workshop": {
            "id": workshop.id,
            "title": workshop.title,
            "labs": list(workshop.labs),
            "starts_at": workshop.starts_at.isoformat(),
            "ends_at": workshop.ends_at.isoformat(),
        },
        "learners": [row_json(row) for row in rows],
        "attempts": [attempt async for attempt in attempts(database, workshop.id)],
    }


def row_json(row: Row) -> dict[str, Any]:
    """A row of the roster as JSON values."""
    return {
        "member": row.member.id,
        "name": row.member.name,
        "joined_at": row.member.joined_at.isoformat(),
        "seen_at": _moment(row.member.seen_at),
        "online": row.online,
        "place": row.place,
        "lab": row.member.lab,
        "mesh": row.member.mesh,
        "shares_screen": row.member.screen,
        "current": f"{row.current.column.lab}/{row.current.column.task}" if row.current else None,
        "since": _moment(row.since),
        "reason": row.reason,
        "passed": row.passed,
        "tasks": [
            {
                "lab": cell.column.lab,
                "task": cell.column.task,
                "state": cell.state,
                "passed_at": _moment(cell.standing.passed_at) if cell.standing else None,
                "failing_since": _moment(cell.standing.failing_since) if cell.standing else None,
                "tries": cell.standing.tries if cell.standing else 0,
                "hints": cell.hints,
                "reason": cell.standing.verdict.reason if cell.standing else "",
            }
            for cell in row.cells
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
