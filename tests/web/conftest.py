"""The site under test: a small course, a judge that is told what to say, and a browser."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

# So that the tests of this folder can share `samples`.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.web import postgresql
from tests.web.samples import TOKEN, FakeJudge, Visitor, entered, free_port, write_course

from meshdojo.web.app import create_app
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.settings import Settings

BROWSER_FLAGS = [
    "--no-sandbox",  # containers give ordinary users no namespaces; these tests open our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def judge() -> FakeJudge:
    return FakeJudge()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    return write_course(tmp_path / "course")


@pytest.fixture
def settings(tmp_path: Path, content: Path) -> Settings:
    return Settings(tmp_path / "state", content=content, port=free_port(), token=TOKEN, command="meshdojo")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The folder of a running server's socket. Skips where PostgreSQL is not installed."""
    binaries = postgresql.programs()
    if binaries is None:
        pytest.skip("no PostgreSQL: install Debian's postgresql")
    with postgresql.server(binaries) as folder:
        yield folder


_numbers = itertools.count()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database of PostgreSQL."""
    with postgresql.new_database(postgresql_server, f"test{next(_numbers)}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with all its tables, on both kinds."""
    database = Database(open_engine(database_url))
    await migrate(database.engine)
    await database.bus.start()
    yield database
    await database.bus.close()
    await database.engine.dispose()


@pytest.fixture
async def visitor(settings: Settings, judge: FakeJudge) -> AsyncIterator[Visitor]:
    async with entered(create_app(settings, judge=judge)) as visitor:
        yield visitor


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of another site, with a state of its own."""
    return replace(settings, state_directory=tmp_path / "elsewhere", port=free_port())


@pytest.fixture(scope="session")
def browser_path() -> str | None:
    """Debian's chromium; None for the one that `playwright install chromium` brought. Skips where there is neither."""
    system = shutil.which("chromium") or shutil.which("chromium-browser")
    bundled = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    if not system and not list(bundled.glob("chromium*")):
        pytest.skip("no browser: install Debian's chromium, or run `playwright install chromium`")
    return system


# What is expected comes in milliseconds; a busy machine may take its time.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
async def started_chromium(browser_path: str | None) -> AsyncIterator[Browser]:
    """One browser for all tests of a module: starting one takes a second of a core."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path, args=BROWSER_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def chromium(started_chromium: Browser) -> AsyncIterator[Browser]:
    """The browser, without anything of another test: contexts share nothing, and end with the test."""
    yield started_chromium
    for context in started_chromium.contexts:
        await context.close()
