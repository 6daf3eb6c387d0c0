"""schemathesis throws at the API what its description allows, and what it does not: no server error may come of it.

Odd values on PostgreSQL, which takes every type at its word; longer ways through the API on SQLite, as they are cheap
there.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web.room import PLAN, seat
from tests.web.samples import PASSED, FakeJudge, judged, served

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

# Nothing of a live stream ends by itself.
STREAM = "/api/v1/desk/stream"
DESK = "^/api/v1/(desk|join)"
PHASES = {"postgresql": ["--phases", "coverage"], "sqlite": ["--phases", "examples,fuzzing", "--max-examples", "5"]}


@pytest.mark.parametrize("kind", PHASES)
async def test_no_request_breaks_the_server(
    settings: Settings, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    if kind == "postgresql":
        settings = replace(settings, database_url=request.getfixturevalue("postgresql_url"))
    judge = FakeJudge()
    judge.script = {lab: [*judged("dark", PASSED), *judged("tenth", PASSED)] for lab in ("split", "next")}
    async with served(settings, judge) as http:
        text = (await http.get("/")).text
        headers = {"X-CSRF-Token": text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]}
        made = (await http.post("/api/v1/workshops", json=PLAN, headers=headers)).json()
        ann = await seat(http, made["code"], "Ann")
        token = (await http.post("/api/v1/me/tokens", json={"name": "fuzz"}, headers=headers)).json()["token"]
        # The owner first may delete the workshop or the token; the member's desk is tried before that.
        for bearer, paths in ((ann.token, "--include-path-regex"), (token, "--exclude-path-regex")):
            code, output = await _throw(settings.url, bearer, tmp_path, [paths, DESK, *PHASES[kind]])
            assert code == 0, output[-6000:]
        assert (await http.get("/healthz")).status_code == 200


async def _throw(url: str, token: str, folder: Path, options: list[str]) -> tuple[int, str]:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/api/openapi.json"]
    command += ["--checks", "not_a_server_error", "--exclude-path", STREAM]
    command += ["--header", f"Authorization: Bearer {token}", "--seed", "1", "--no-color"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "60", *options]
    child = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await child.communicate()
    return child.returncode or 0, output.decode()
