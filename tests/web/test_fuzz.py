"""schemathesis throws at the API what its description allows, and what it does not: no server error may come of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.web.room import PLAN, seat
from tests.web.samples import PASSED, FakeJudge, judged, served

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

EXAMPLES = 5
# Nothing of a live stream ends by itself.
STREAM = "/api/v1/desk/stream"


async def test_no_request_breaks_the_server(settings: Settings, tmp_path: Path) -> None:
    judge = FakeJudge()
    judge.script = {lab: [*judged("dark", PASSED), *judged("tenth", PASSED)] for lab in ("split", "next")}
    async with served(settings, judge) as http:
        text = (await http.get("/")).text
        headers = {"X-CSRF-Token": text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]}
        made = (await http.post("/api/v1/workshops", json=PLAN, headers=headers)).json()
        ann = await seat(http, made["code"], "Ann")
        token = (await http.post("/api/v1/me/tokens", json={"name": "fuzz"}, headers=headers)).json()["token"]
        for bearer in (token, ann.token):
            code, output = await _throw(settings.url, bearer, tmp_path)
            assert code == 0, output[-6000:]


async def _throw(url: str, token: str, folder: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/api/openapi.json"]
    command += [
        "--checks",
        "not_a_server_error",
        "--exclude-path",
        STREAM,
        "--header",
        f"Authorization: Bearer {token}",
    ]
    command += [
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        "1",
        "--phases",
        os.environ.get("PH", "examples,coverage,fuzzing"),
        "--no-color",
    ]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "60"]
    child = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await child.communicate()
    return child.returncode or 0, output.decode()
