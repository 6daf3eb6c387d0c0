"""Limits on memory and processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshdojo.kubelet.limits import PROCESSES, descendants, memory_limit, private, resident

Start = Callable[..., AbstractAsyncContextManager[Any]]
GREEDY = "import time; hoard = bytearray(120_000_000); time.sleep(1000)"
MODEST = "import time; hoard = bytearray(20_000_000); time.sleep(1000)"


@pytest.mark.parametrize(
    ("spec", "limit"),
    [
        ({"resources": {"limits": {"memory": "64Mi"}}}, 64 * 2**20),
        ({"resources": {"limits": {"cpu": "1"}}}, 0),
        ({"resources": {}}, 0),
        ({}, 0),
    ],
)
def test_the_limit_of_a_container(spec: dict[str, object], limit: float) -> None:
    assert memory_limit(spec) == limit


def test_what_processes_use() -> None:
    assert 0 < private([os.getpid()]) <= resident([os.getpid()])
    with subprocess.Popen(["sh", "-c", "sleep 1000 & echo; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        pids = descendants(shell.pid)
        assert pids[0] == shell.pid
        assert len(pids) == 2
        os.kill(pids[1], 9)
        shell.wait()
    assert resident(pids) == 0


def test_a_container_beyond_its_memory_limit_is_killed(start: Start) -> None:
    limits = {"limits": {"memory": "64Mi"}}

    async def scenario() -> None:
        async with start() as it:
            await it.pod("modest", {"command": ["python", "-c", MODEST], "resources": limits})
            await it.pod("greedy", {"command": ["python", "-c", GREEDY], "resources": limits}, restartPolicy="Never")
            greedy = await it.until("greedy", lambda pod: pod["status"]["phase"] == "Failed")
            ended = greedy["status"]["containerStatuses"][0]["state"]["terminated"]
            assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
            modest = await it.api.get("pods", "modest", "default")
            assert modest["status"]["containerStatuses"][0]["restartCount"] == 0

    asyncio.run(scenario())


def test_a_container_with_too_many_processes_is_killed(start: Start) -> None:
    script = f"i=0; while [ $i -lt {PROCESSES + 20} ]; do sleep 1000 & i=$((i+1)); done; wait"

    async def scenario() -> None:
        async with start() as it:
            await it.pod("bomb", {"command": ["sh", "-c", script]}, restartPolicy="Never")
            await it.until("bomb", lambda pod: pod["status"]["phase"] == "Failed")
            reasons = [reason for reason, _ in await it.events("bomb")]
            assert "ProcessLimitExceeded" in reasons

    asyncio.run(scenario())
