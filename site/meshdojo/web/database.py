"""Opening the database and bringing its tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from meshdojo.errors import UserError

MIGRATIONS = Path(__file__).parent / "migrations"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


class DatabaseError(UserError):
    """The database cannot be used; the message says which, why, and what to do."""


def open_engine(url: str) -> AsyncEngine:
    """An engine for `url`; ``sqlite:`` and ``postgresql:`` get their async driver. Raises `DatabaseError`."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(f"database URL {url!r}: expected sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    if parsed.get_backend_name() not in DRIVERS:
        raise DatabaseError(f"database URL: {parsed.drivername!r} is not supported; allowed are {', '.join(DRIVERS)}")
    engine = create_async_engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]))
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL: readers never wait for a writer, and an acknowledged write survives the death of the process."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the tables to `revision` (up or down), in one transaction. Raises `DatabaseError`."""
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate, revision)
    except CommandError as error:
        raise DatabaseError(
            f"{engine.url.render_as_string()}: written by a newer meshdojo ({error}); upgrade meshdojo or choose "
            "another state directory"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseError(f"{engine.url.render_as_string()}: cannot be opened: {_first_line(error)}") from error


def _migrate(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    if _is_behind(connection, revision):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def _is_behind(connection: Connection, revision: str) -> bool:
    """Whether `revision` lies before the database's own."""
    from alembic.migration import MigrationContext

    current = MigrationContext.configure(connection).get_current_revision()
    if revision == "base":
        return True
    if current is None or revision == "head":
        return False
    script = ScriptDirectory.from_config(alembic_config())
    return any(step.revision == revision for step in script.iterate_revisions(current, "base"))


def alembic_config() -> Config:
    """Alembic's configuration, made in code so that it is the same in a checkout and in a wheel."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
