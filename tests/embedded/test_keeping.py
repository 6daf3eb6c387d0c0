"""Whatever dies unasked is started again, and what was stopped stays so."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import keeping, lifecycle
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.keeper import FIRST_DELAY_SECONDS, MOST_FAILURES, MOST_REVIVALS, WITHIN_SECONDS, Patience
from meshdojo.embedded.processes import ProcessName

PATIENCE = 60


@pytest.fixture
def started(environment: Environment) -> Iterator[Environment]:
    lifecycle.start(environment)
    yield environment
    lifecycle.delete(environment)


def _another(find: Callable[[], ProcessName | None], than: ProcessName | None) -> ProcessName:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = find()
        if found is not None and found != than:
            return found
        time.sleep(0.01)
    raise AssertionError("nobody has started it again")


def _keeper(environment: Environment) -> ProcessName:
    found = keeping.keeper_of(environment)
    assert found is not None
    return found


async def _answers(environment: Environment) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
                    await client.version()
                    return
            except (ClusterError, OSError):
                await asyncio.sleep(0.02)


def test_either_process_that_is_killed_is_started_again_however_often(started: Environment) -> None:
    for _ in range(2):
        cluster, keeper = lifecycle.require(started), _keeper(started)
        os.kill(keeper.pid, signal.SIGKILL)
        another = _another(lambda: keeping.keeper_of(started), keeper)
        assert lifecycle.require(started) == cluster
        os.kill(cluster.pid, signal.SIGKILL)
        _another(lambda: lifecycle.running(started), cluster)
        asyncio.run(_answers(started))
        assert _keeper(started) == another


def test_what_was_stopped_stays_stopped(started: Environment) -> None:
    cluster, keeper = lifecycle.require(started), _keeper(started)
    os.kill(cluster.pid, signal.SIGKILL)
    lifecycle.stop(started)  # perhaps when another has begun
    family = [psutil.Process(one.pid) for one in (cluster, keeper) if one.alive()]
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    assert lifecycle.running(started) is None
    assert keeping.keeper_of(started) is None


def test_stopping_ends_the_keeper_too(started: Environment) -> None:
    cluster, keeper = lifecycle.require(started), _keeper(started)
    assert lifecycle.stop(started)
    assert not cluster.alive()
    assert not keeper.alive()
    assert not started.keeper_file.exists()


def test_who_asks_the_process_itself_to_end_is_obeyed(started: Environment) -> None:
    cluster, keeper = lifecycle.require(started), _keeper(started)
    family = [psutil.Process(cluster.pid), psutil.Process(keeper.pid)]
    os.kill(cluster.pid, signal.SIGTERM)
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    assert lifecycle.running(started) is None


def test_a_start_in_the_middle_of_the_healing_joins_it_or_does_it(started: Environment) -> None:
    cluster = lifecycle.require(started)
    os.kill(cluster.pid, signal.SIGKILL)
    _wait_until(lambda: not cluster.alive())
    lifecycle.start(started)
    found = lifecycle.require(started)
    assert found != cluster
    asyncio.run(_answers(started))
    # Whoever was first: one cluster process, and a keeper that watches this one.
    os.kill(found.pid, signal.SIGKILL)
    _another(lambda: lifecycle.running(started), found)


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_process_that_a_keeper_started_in_vain_leaves(environment: Environment) -> None:
    environment.state.mkdir(parents=True)
    assert keeping.begin(environment) is None  # stopped: nobody keeps it
    own = ProcessName.of(os.getpid())
    own.write(environment.keeper_file)
    ProcessName.of(os.getppid()).write(environment.process_file)
    assert keeping.begin(environment) is None  # somebody else has started one
    environment.process_file.unlink()
    assert keeping.begin(environment) == own.pid
    assert lifecycle.running(environment) == own
    environment.keeper_file.unlink()  # it names this very process


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_that_was_ready_is_started_at_once() -> None:
    patience = Patience(Clock())
    for _ in range(MOST_FAILURES + 1):
        assert patience.next_delay() == 0
        patience.ready()


def test_one_that_is_never_ready_is_given_up_after_longer_and_longer_waits() -> None:
    patience = Patience(Clock())
    delays = [patience.next_delay() for _ in range(MOST_FAILURES)]
    assert delays == [0, *(FIRST_DELAY_SECONDS * 2**n for n in range(MOST_FAILURES - 1))]
    assert patience.next_delay() is None


def test_one_that_dies_all_the_time_is_given_up_and_one_that_dies_now_and_then_is_not() -> None:
    clock = Clock()
    patience = Patience(clock)
    for _ in range(MOST_REVIVALS):
        assert patience.next_delay() == 0
        patience.ready()
    assert patience.next_delay() is None
    clock.now += WITHIN_SECONDS + 1
    assert patience.next_delay() == 0
