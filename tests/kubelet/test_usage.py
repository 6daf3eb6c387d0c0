"""What containers use, read from real processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from meshdojo.kubelet.limits import proportional
from meshdojo.kubelet.usage import UsageMeter, age, all_of, cpu_seconds

# Uses so much CPU time, says so, and waits.
BUSY = """
import sys, time
while time.process_time() < 0.3:
    sum(range(1000))
print("done", flush=True)
sys.stdin.read()
"""
NEVER = 2**22 + 1  # above the kernel's largest pid


@dataclass
class FakeContainer:
    identity: str
    pids: list[int] = field(default_factory=list)


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that has used 0.3 s of CPU."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield process.pid
        process.kill()


def test_processes_and_their_descendants_are_measured(busy: int) -> None:
    assert busy in all_of([os.getpid()])
    assert 0.2 < cpu_seconds([busy]) < 60
    assert proportional([busy]) > 2**20
    assert age(busy) > 0


def test_what_is_gone_uses_nothing() -> None:
    assert (cpu_seconds([NEVER]), proportional([NEVER]), age(NEVER)) == (0, 0, 0)


def test_containers_are_told_apart_and_one_that_does_not_run_is_left_out(busy: int) -> None:
    containers = {("one", "web", "c"): FakeContainer("one/c", [busy]), ("one", "web", "idle"): FakeContainer("one/i")}
    meter = UsageMeter(lambda: containers, lambda: [busy])

    found = asyncio.run(meter.measure())

    assert list(found.pods) == [("one", "web")]
    used = found.pods["one", "web"]["c"]
    assert list(found.pods["one", "web"]) == ["c"]
    assert used.cores == pytest.approx(cpu_seconds([busy]) / used.window, rel=0.2)
    assert used.memory == pytest.approx(proportional([busy]), rel=0.2)
    assert found.total.memory == pytest.approx(used.memory, rel=0.2)


def test_the_rate_is_that_of_the_last_seconds(busy: int) -> None:
    """From the first of the two last samples on; a container that was started again has none."""
    container = FakeContainer("one/c", [busy])
    meter = UsageMeter(lambda: {("one", "web", "c"): container}, lambda: [busy])

    async def scenario() -> None:
        running = asyncio.create_task(meter.run())
        async with asyncio.timeout(30):
            while not meter._samples:  # noqa: ASYNC110 - a thread takes them
                await asyncio.sleep(0.001)
        used = (await meter.measure()).pods["one", "web"]["c"]
        assert used.cores == 0  # it has only waited since
        container.pids = [os.getpid()]
        used = (await meter.measure()).pods["one", "web"]["c"]
        assert used.window == pytest.approx(age(container.pids[0]), rel=0.2)
        running.cancel()

    asyncio.run(scenario())
