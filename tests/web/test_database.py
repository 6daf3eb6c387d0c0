"""Opening the database, and its migrations up and down with data in it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from meshdojo.web.database import Database, DatabaseError, alembic_config, migrate, open_engine
from meshdojo.web.models import LOCAL_LEARNER, Base, UTCDateTime
from meshdojo.web.progress import Answer, Progress, Verdict

pytestmark = pytest.mark.anyio


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_migrations_make_what_the_models_say(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, Base.metadata)
        return found

    engine = open_engine(database_url)
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_data_survives_a_migration_down_and_up(database_url: str) -> None:
    engine = open_engine(database_url)
    await migrate(engine)
    progress = Progress(Database(engine))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    await progress.open_hint(LOCAL_LEARNER, "canary", "dark", 3)
    before = await progress.lab(LOCAL_LEARNER, "canary")

    await migrate(engine, "0001")
    assert await tables(engine) == {"alembic_version", "attempt", "learner", "task_progress"}
    await migrate(engine, "head")
    after = await progress.lab(LOCAL_LEARNER, "canary")
    assert after.passed_at == before.passed_at != {}
    assert (before.hints, after.hints) == ({"dark": 1}, {})
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((1,), True))

    await migrate(engine, "base")
    assert await tables(engine) == {"alembic_version"}
    await migrate(engine)
    assert (await progress.lab(LOCAL_LEARNER, "canary")).passed_at == {}
    await engine.dispose()


async def test_the_step_to_workshops_works_out_how_learners_stand(database_url: str) -> None:
    engine = open_engine(database_url)
    await migrate(engine, "0002")
    day = datetime(2026, 5, 1, 12, tzinfo=UTC)
    tries = [
        ("dark", "fail", 1),
        ("dark", "pass", 2),
        ("tenth", "pass", 3),
        ("tenth", "fail", 4),
        ("tenth", "error", 5),
    ]
    async with engine.begin() as connection:
        for task, outcome, minute in [*tries, ("steady", "fail", 6)]:
            await connection.execute(
                text(
                    "INSERT INTO attempt (learner_id, lab, task, outcome, reason, saw, expected, seconds, at) "
                    "VALUES (1, 'canary', :task, :outcome, :reason, '', '', 0.5, :at)"
                ).bindparams(bindparam("at", type_=UTCDateTime)),
                {"task": task, "outcome": outcome, "reason": f"{outcome}ed", "at": day + timedelta(minutes=minute)},
            )
        for task, minute in (("dark", 2), ("tenth", 3), ("lost", 4)):
            await connection.execute(
                text("INSERT INTO task_progress VALUES (1, 'canary', :task, :at)").bindparams(
                    bindparam("at", type_=UTCDateTime)
                ),
                {"task": task, "at": day + timedelta(minutes=minute)},
            )
    await migrate(engine)
    found = await Progress(Database(engine)).standing(LOCAL_LEARNER, "canary")
    minutes = {
        task: tuple(moment and (moment - day).seconds // 60 for moment in (one.passed_at, one.failing_since, one.at))
        for task, one in found.items()
    }
    assert minutes == {"dark": (2, None, 2), "tenth": (3, 4, 5), "steady": (None, 6, 6), "lost": (4, None, 4)}
    assert (found["tenth"].tries, found["tenth"].verdict.reason) == (3, "errored")

    await migrate(engine, "0002")
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT task FROM task_progress ORDER BY task"))).scalars().all()
        assert rows == ["dark", "lost", "tenth"]
        assert await connection.scalar(text("SELECT count(*) FROM attempt")) == 6
    await engine.dispose()


async def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    assert "workshop" in await tables(engines[0])
    for engine in engines:
        await engine.dispose()


async def test_nobody_hears_of_a_transaction_that_was_rolled_back(database: Database) -> None:
    with database.bus.subscribe("room") as subscription:
        with contextlib.suppress(RuntimeError):
            async with database.writing() as transaction:
                transaction.emit("room", "changed")
                raise RuntimeError("midway")
        assert subscription.take() == []
        async with database.writing() as transaction:
            transaction.emit("room", "changed", member=7)
            assert subscription.take() == []
        assert [(event.kind, event.data) for event in subscription.take()] == [("changed", {"member": 7})]


async def test_each_migration_goes_down_to_exactly_what_was_before(database_url: str) -> None:
    engine = open_engine(database_url)
    steps = [step.revision for step in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]
    seen: list[set[str]] = []
    for step in steps:
        await migrate(engine, step)
        seen.append(await tables(engine))
    for step, expected in reversed(list(zip(steps, seen, strict=True))):
        await migrate(engine, step)
        assert await tables(engine) == expected
    await engine.dispose()


async def test_sqlite_writes_ahead_and_holds_foreign_keys(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'site.db'}")
    async with engine.connect() as connection:
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
    await engine.dispose()


async def test_a_newer_database_is_refused_with_words(database_url: str) -> None:
    engine = open_engine(database_url)
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer meshdojo"):
        await migrate(engine)
    await engine.dispose()


async def test_a_file_that_is_no_database_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "site.db").write_text("These are not the rows you are looking for. " * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'site.db'}")
    with pytest.raises(DatabaseError, match=r"site\.db: cannot be opened: file is not a database"):
        await migrate(engine)
    await engine.dispose()


@pytest.mark.parametrize(("bad", "words"), [("mysql://host/name", "'mysql' is not supported"), ("::", "expected")])
def test_a_url_that_means_nothing(bad: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        open_engine(bad)


async def test_times_come_back_with_their_zone(database_url: str) -> None:
    engine = open_engine(database_url)
    await migrate(engine)
    before = datetime.now(UTC)
    at = await Progress(Database(engine)).record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    kept = (await Progress(Database(engine)).lab(LOCAL_LEARNER, "canary")).passed_at["dark"]
    assert kept == at >= before
    assert kept.tzinfo is UTC
    await engine.dispose()
