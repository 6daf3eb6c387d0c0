"""Opening the database, and its migrations up and down with data in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from meshdojo.web.database import DatabaseError, alembic_config, migrate, open_engine
from meshdojo.web.models import LOCAL_LEARNER, Base
from meshdojo.web.progress import Answer, Progress, Verdict

pytestmark = pytest.mark.anyio


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, Base.metadata)
        return found

    engine = open_engine(url(tmp_path / "site.db"))
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_data_survives_a_migration_down_and_up(tmp_path: Path) -> None:
    engine = open_engine(url(tmp_path / "site.db"))
    await migrate(engine)
    progress = Progress(engine)
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


async def test_each_migration_goes_down_to_exactly_what_was_before(tmp_path: Path) -> None:
    engine = open_engine(url(tmp_path / "site.db"))
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


async def test_a_newer_database_is_refused_with_words(tmp_path: Path) -> None:
    engine = open_engine(url(tmp_path / "site.db"))
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer meshdojo"):
        await migrate(engine)
    await engine.dispose()


async def test_a_file_that_is_no_database_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "site.db").write_text("These are not the rows you are looking for. " * 100)
    engine = open_engine(url(tmp_path / "site.db"))
    with pytest.raises(DatabaseError, match=r"site\.db: cannot be opened: file is not a database"):
        await migrate(engine)
    await engine.dispose()


@pytest.mark.parametrize(("bad", "words"), [("mysql://host/name", "'mysql' is not supported"), ("::", "expected")])
def test_a_url_that_means_nothing(bad: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        open_engine(bad)


async def test_times_come_back_with_their_zone(tmp_path: Path) -> None:
    engine = open_engine(url(tmp_path / "site.db"))
    await migrate(engine)
    before = datetime.now(UTC)
    at = await Progress(engine).record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    kept = (await Progress(engine).lab(LOCAL_LEARNER, "canary")).passed_at["dark"]
    assert kept == at >= before
    assert kept.tzinfo is UTC
    await engine.dispose()
