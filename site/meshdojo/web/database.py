"""Opening the database, bringing its tables up to date, and the transactions on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, NullPool, Table, make_url
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from meshdojo.errors import UserError
from meshdojo.web.bus import Bus, Event, bus_for
from meshdojo.web.models import Base
from meshdojo.web.sqlite import DRIVER, WRITES, SQLiteEngine

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that nobody else takes: processes that start together migrate one after the other.
MIGRATION_LOCK = 0x6D657368
CONNECTIONS = 10
# A crowd waits for its turn at the database rather than being sent away.
WAIT_SECONDS = 120.0
DRIVERS = {"sqlite": DRIVER, "postgresql": "postgresql+psycopg"}


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
    # None beyond these: one that is opened for a moment costs more than what it is opened for.
    pool = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": WAIT_SECONDS}
    return _engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]), foreign_keys=True, **pool)


def _engine(url: URL, *, foreign_keys: bool, **pool: Any) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        return SQLiteEngine(url, foreign_keys=foreign_keys, **pool)
    return create_async_engine(url, **pool)


@dataclass
class Transaction:
    """A transaction that writes. What it emits is told when it has been committed."""

    connection: AsyncConnection
    events: list[Event] = field(default_factory=list)

    def emit(self, topic: str, kind: str, **data: Any) -> None:
        """Tell the listeners of `topic` once this is true."""
        event = Event(topic, kind, data)
        if event not in self.events:
            self.events.append(event)

    async def insert_if_new(self, model: type[Base], row: dict[str, Any]) -> bool:
        """Insert a row unless there is one with its key; whether there was none."""
        dialect = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        key = next(iter(table(model).primary_key))
        statement = dialect.insert(table(model)).values(row).on_conflict_do_nothing().returning(key)
        return (await self.connection.execute(statement)).one_or_none() is not None

    async def insert(self, model: type[Base], **row: Any) -> int:
        """Insert a row; returns its number."""
        statement = table(model).insert().values(row).returning(table(model).c.id)
        number: int = (await self.connection.execute(statement)).scalar_one()
        return number


class Database:
    """Transactions on the site's database, and the bus that tells of them."""

    def __init__(self, engine: AsyncEngine, bus: Bus | None = None) -> None:
        self.engine = engine
        self.bus = bus or bus_for(engine)
        # SQLite has one writer at a time, and lets the others look again and again: a queue is fairer and faster.
        self._turn = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that reads."""
        async with self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """One transaction; when the block has ended it is on disk and everybody has been told."""
        async with self._turn or nullcontext(), self.engine.connect() as connection:
            connection = await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                transaction = Transaction(connection)
                yield transaction
                await self.bus.announce(connection, transaction.events)
        for each in transaction.events:
            self.bus.deliver(each)


def table(model: type[Base]) -> Table:
    """The table of a model."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the tables to `revision` (up or down), in one transaction. Raises `DatabaseError`.

    On a connection of its own: SQLite changes a table by copying and dropping it, and with foreign keys on, dropping
    a table would take with it every row elsewhere that refers to it.
    """
    own = _engine(engine.url, foreign_keys=False, poolclass=NullPool)
    try:
        async with own.connect() as connection:
            connection = await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                if engine.dialect.name == "postgresql":
                    await connection.execute(sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                await connection.run_sync(_migrate, revision)
    except CommandError as error:
        raise DatabaseError(
            f"{engine.url.render_as_string()}: written by a newer meshdojo ({error}); upgrade meshdojo or choose "
            "another state directory"
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseError(f"{engine.url.render_as_string()}: cannot be opened: {_first_line(error)}") from error
    finally:
        await own.dispose()


def _migrate(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    if _is_behind(connection, revision):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
    if connection.dialect.name == "sqlite":
        assert not connection.exec_driver_sql("PRAGMA foreign_key_check").all(), "a migration left rows without parents"


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
