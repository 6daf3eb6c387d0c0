"""The commands of a workshop as they are typed: a site in a process of its own, and `meshdojo` in others."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.samples import FAILED, PASSED, TOKEN, free_port
from tests.web.test_processes import lead, process

from meshdojo.cli.console import EXIT_ENVIRONMENT, EXIT_FAILED
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Path]:
    """A learner's machine. The path is short: sockets have to fit in it."""
    path = Path(tempfile.mkdtemp(prefix="md-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The workshop's site, and its owner. Of a lab it finds one task passed and one not."""
    script = {"split": {"dark": "PASSED", "tenth": "FAILED"}}
    async with (
        process(settings, script),
        httpx.AsyncClient(base_url=settings.url, timeout=60, follow_redirects=True) as http,
    ):
        await http.get("/", params={"token": TOKEN})
        yield http


async def start(home: Path, *words: str, **environment: str) -> asyncio.subprocess.Process:
    """Begin a command of meshdojo on the learner's machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MESHDOJO_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meshdojo.cli", *words),
        env=inherited | {"MESHDOJO_HOME": str(home), "COLUMNS": "200"} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def typed(home: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """A command to its end: exit code, output, errors."""
    child = await start(home, *words, **environment)
    async with asyncio.timeout(300):
        output, errors = await child.communicate()
    return child.returncode or 0, output.decode(), errors.decode()


async def test_join_serve_and_leave(settings: Settings, http: httpx.AsyncClient, home: Path) -> None:
    made, _ = await lead(http)

    async def roster() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await http.get(f"/api/v1/workshops/{made['id']}/roster")).json()
        return rows

    code, _, said = await typed(home, "join", settings.url, "WRONG-CODE", "--as", "Ann")
    assert (code, "No open workshop has this code" in said, "Traceback" in said) == (EXIT_ENVIRONMENT, True, False), (
        said
    )
    code, _, said = await typed(home, "join", settings.url, made["code"], "--as", "Ann")
    assert (code, "You are in Istio day as Ann. Labs: split." in said) == (0, True), said
    (row,) = await roster()
    assert (row["name"], row["online"]) == ("Ann", False)

    # It reports as long as `meshdojo serve` runs, and is seen to be there.
    site = await start(home, "serve", "--port", str(free_port()))
    try:
        assert site.stderr is not None
        async with asyncio.timeout(300):
            while "The course is open at" not in (await site.stderr.readline()).decode():
                assert site.returncode is None
            while not (await roster())[0]["online"]:  # noqa: ASYNC110 - another program's doing
                await asyncio.sleep(0.1)
    finally:
        site.terminate()
        _, errors = await site.communicate()
    assert (site.returncode, "Traceback" in errors.decode()) == (0, False), errors.decode()

    code, _, said = await typed(home, "leave", "--forget")
    assert (code, "You have left 'Istio day'." in said) == (0, True), said
    assert await roster() == []
    code, _, said = await typed(home, "leave")
    assert (code, "You are in no workshop." in said) == (0, True), said


async def test_check_on_a_remote_site(settings: Settings, http: httpx.AsyncClient, home: Path) -> None:
    _, headers = await lead(http)
    token = (await http.post("/api/v1/me/tokens", json={"name": "laptop"}, headers=headers)).json()["token"]
    words = ("check", "split", "--site", settings.url)
    code, output, _ = await typed(home, *words, MESHDOJO_TOKEN=token)
    assert code == EXIT_FAILED
    assert [line.split() for line in output.splitlines()[:2]] == [["✔", "dark"], ["saw", *PASSED.saw.split()]]
    for text in ("✘ tenth", FAILED.reason, FAILED.saw, FAILED.expected, FAILED.hint):
        assert text in output
    code, output, _ = await typed(home, *words, "--json", MESHDOJO_TOKEN=token)
    found = {one["task"]: one["outcome"] for one in json.loads(output)}
    assert (code, found) == (EXIT_FAILED, {"dark": "pass", "tenth": "fail"})
    # What was found is kept as any attempt is.
    kept = (await http.get("/api/v1/me/data")).json()["attempt"]
    assert sorted((one["task"], one["outcome"]) for one in kept) == [("dark", "pass")] * 2 + [("tenth", "fail")] * 2
    for given, told in ((token + "x", "personal token"), ("", "MESHDOJO_TOKEN is not set")):
        code, _, said = await typed(home, *words, MESHDOJO_TOKEN=given)
        assert (code, told in said, "Traceback" in said) == (EXIT_ENVIRONMENT, True, False), said
