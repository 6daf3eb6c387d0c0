"""Several processes serve one site through PostgreSQL; and what was acknowledged outlives a process that is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.room import PLAN, Seat, seat
from tests.web.samples import TOKEN, FakeJudge, free_port, served

from meshdojo.web.bus import Event, PostgresBus
from meshdojo.web.database import Database, migrate, open_engine
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

SERVE = """
import json
import sys
from pathlib import Path
from meshdojo.web.server import serve
from meshdojo.web.settings import Settings
sys.path.insert(0, sys.argv[1])
from tests.web import samples
from tests.web.samples import FakeJudge, judged, lab_shells
from meshdojo.web.app import create_app
settings = Settings(Path(sys.argv[2]), content=Path(sys.argv[3]), database_url=sys.argv[4], port=int(sys.argv[5]),
                    token=sys.argv[6])
judge = FakeJudge()
for lab, tasks in json.loads(sys.argv[7]).items():
    judge.script[lab] = [one for task, name in tasks.items() for one in judged(task, getattr(samples, name))]
app = create_app(settings, judge=judge, shells=lab_shells(settings))
serve(settings, lambda: print("ready", flush=True), app)
"""


@asynccontextmanager
async def process(
    settings: Settings, script: dict[str, dict[str, str]] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The site in a process of its own. `script`: by lab and task the name of the verdict that its judge finds."""
    arguments = [str(Path(__file__).parents[2]), str(settings.state_directory), str(settings.content)]
    arguments += [settings.database, str(settings.port), TOKEN, json.dumps(script or {})]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(400):
            assert await child.stdout.readline() == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def lead(http: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, str]]:
    """A workshop, and the headers by which its instructor changes things."""
    text = (await http.get("/")).text
    headers = {"X-CSRF-Token": text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]}
    return (await http.post("/api/v1/workshops", json=PLAN, headers=headers)).json(), headers


async def test_what_a_killed_process_acknowledged_is_there_and_the_rest_comes_again(
    settings: Settings, database_url: str
) -> None:
    settings = replace(settings, database_url=database_url)
    acknowledged: set[str] = set()
    async with httpx.AsyncClient(base_url=settings.url, timeout=60, follow_redirects=True) as http:
        async with process(settings) as child:
            await http.get("/", params={"token": TOKEN})
            made, _ = await lead(http)
            seats = [await seat(http, made["code"], f"Learner {number}") for number in range(4)]
            attempts = {id(one): [one.attempt("dark", "fail", "no") for _ in range(200)] for one in seats}
            enough = asyncio.Event()

            async def report(one: Seat) -> None:
                for attempt in attempts[id(one)]:
                    answer = await one.report(attempt)
                    assert answer.status_code == 200
                    acknowledged.add(f"{one.member} {attempt['key']}")
                    if len(acknowledged) > 40:
                        enough.set()

            reporting = asyncio.gather(*(report(one) for one in seats), return_exceptions=True)
            await enough.wait()
            child.send_signal(signal.SIGKILL)  # in the middle of it
            errors = await reporting
            assert any(isinstance(error, httpx.HTTPError) for error in errors)
            assert 40 < len(acknowledged) < 800
        async with process(settings):
            export = (await http.get(f"/api/v1/workshops/{made['id']}/export.json")).json()
            assert len(export["attempts"]) >= len(acknowledged)
            # A meshdojo that was not answered sends again: now every attempt is there, and none twice.
            for one in seats:
                await one.report(*attempts[id(one)])
            rows = (await http.get(f"/api/v1/workshops/{made['id']}/roster")).json()
            assert [row["tasks"][0]["tries"] for row in rows] == [200] * 4


async def test_a_page_of_one_process_shows_what_came_to_another(settings: Settings, postgresql_url: str) -> None:
    here = replace(settings, database_url=postgresql_url)
    async with served(here, FakeJudge()) as http:
        made, headers = await lead(http)
        there = replace(here, port=free_port())
        async with process(there), httpx.AsyncClient(base_url=there.url, timeout=60) as elsewhere:
            ann = await seat(elsewhere, made["code"], "Ann")
            stream = f"/workshops/{made['id']}/live"
            async with http.stream("GET", stream, timeout=120) as page:
                lines = page.aiter_lines()
                await until(lines, "Ann")
                await ann.report(ann.attempt("dark", "fail", "no subset at all"))
                await until(lines, "no subset at all")
            async with elsewhere.stream("GET", "/api/v1/desk/stream", headers=ann.headers, timeout=120) as desk:
                lines = desk.aiter_lines()
                await until(lines, "Istio day")
                said = await http.post(
                    f"/api/v1/workshops/{made['id']}/messages", json={"text": "Lunch!"}, headers=headers
                )
                assert said.status_code == 201
                await until(lines, "Lunch!")


async def until(lines: AsyncIterator[str], text: str) -> None:
    """Read until a line has this text."""
    async with asyncio.timeout(120):
        async for line in lines:
            if text in line:
                return
    raise AssertionError(f"{text!r} did not come")


async def test_a_broken_line_to_postgresql_is_mended_and_says_that_something_may_be_missing(
    postgresql_url: str,
) -> None:
    databases = [Database(open_engine(postgresql_url)) for _ in range(2)]
    await migrate(databases[0].engine)
    for database in databases:
        await database.bus.start()
    first, second = databases
    assert isinstance(first.bus, PostgresBus)
    with first.bus.subscribe("room:1") as heard:
        async with second.writing() as transaction:
            transaction.emit("room:1", "attempt", member=7)
        await heard.changed.wait()
        assert heard.take() == [Event("room:1", "attempt", {"member": 7})]

        async with second.engine.begin() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN meshdojo'"
            )
        await heard.changed.wait()
        assert [event.kind for event in heard.take()] == ["gap"]
        async with second.writing() as transaction:
            transaction.emit("room:1", "joined", member=8)
        await heard.changed.wait()
        assert [event.kind for event in heard.take()] == ["joined"]
        # More than a notification can carry: the listener is told to look for itself.
        await second.bus.publish(Event("room:1", "screen", {"data": "x" * 9000}))
        await heard.changed.wait()
        assert [event.kind for event in heard.take()] == ["gap"]
    for database in databases:
        await database.bus.close()
        await database.engine.dispose()
