"""The site as it is run: a real server, live streams, and an end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.samples import FAILED, PASSED, FakeJudge, judged, served

from meshdojo.web.database import DatabaseError
from meshdojo.web.server import ServeError, serve
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


async def fragments(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def find(stream: AsyncIterator[dict[str, Any]], target: str, words: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for fragment in stream:
            if fragment["target"] == target and words in fragment["html"]:
                return fragment
    raise AssertionError(f"the stream ended without {words!r} in {target}")


async def test_a_task_turns_green_on_an_open_stream(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client, client.stream("GET", "/live", params={"lab": "split"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in response.headers
        stream = fragments(response)
        first = await find(stream, "state-dark", "Not checked yet")
        assert first["say"] == ""
        await judge.started.wait()
        judge.say("split", *judged("dark", FAILED))
        failed = await find(stream, "state-dark", "Not yet")
        assert "0 of 400 requests reached web-experimental" in failed["html"]
        judge.say("split", *judged("dark", PASSED))
        passed = await find(stream, "state-dark", "verdict-passed")
        assert passed["say"] == "Task 1 passed: Bring it in dark"
        assert "Why this works" in (await find(stream, "why-dark", "Subsets only"))["html"]
        assert "<strong>1 of 2</strong>" in (await find(stream, "task-list", "1 of 2"))["html"]


async def test_the_end_of_the_server_ends_the_streams(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        request = client.build_request("GET", "/live")
        response = await client.send(request, stream=True)
        await find(fragments(response), "mesh-summary", "ready")
        await response.aclose()
        request = client.build_request("GET", "/live")
        left_open = await client.send(request, stream=True)
    assert judge.closed
    await left_open.aclose()


async def test_check_now_reaches_the_judge(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client, client.stream("GET", "/live?lab=split") as response:
        stream = fragments(response)
        await judge.started.wait()
        page = (await client.get("/labs/split")).text
        csrf = page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        answer = await client.post("/labs/split/check", headers={"X-CSRF-Token": csrf, "X-Fragment": "1"})
        assert answer.status_code == 204
        judge.say("split", *judged("dark", FAILED))
        await find(stream, "state-dark", "Not yet")
        assert judge.rechecks == 1


async def test_progress_survives_a_restart(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client, client.stream("GET", "/live?lab=split") as response:
        await judge.started.wait()
        judge.say("split", *judged("dark", PASSED))
        await find(fragments(response), "state-dark", "verdict-passed")
    async with served(settings, FakeJudge()) as client:
        assert "1 of 2 passed" in (await client.get("/")).text
        assert "verdict-passed" in (await client.get("/labs/split")).text


async def test_streams_of_labs_that_are_not_there(settings: Settings, judge: FakeJudge) -> None:
    async with served(settings, judge) as client:
        assert (await client.get("/live", params={"lab": "nope"})).status_code == 404


def test_a_port_in_use_is_named_with_the_remedy(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind((settings.host, settings.port))
        other.listen()
        with pytest.raises(ServeError, match=rf"port {settings.port} on 127\.0\.0\.1 is in use.*--port"):
            serve(settings, lambda: None)


def test_an_address_of_another_machine_is_refused(settings: Settings) -> None:
    with pytest.raises(ServeError, match=r"cannot listen on 192\.0\.2\.1"):
        serve(replace(settings, host="192.0.2.1", base_url="http://192.0.2.1"), lambda: None)


def test_a_database_that_cannot_be_opened_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database " * 200)
    broken = replace(settings, database_url=f"sqlite:///{tmp_path / 'broken.db'}")
    with pytest.raises(DatabaseError, match=r"broken\.db: cannot be opened"):
        serve(broken, lambda: None)
