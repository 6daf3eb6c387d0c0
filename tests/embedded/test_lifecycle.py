"""Real environments, from another process, as `meshdojo up` starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import keeping, lifecycle
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.errors import NotRunning, StartFailed
from meshdojo.embedded.processes import ProcessName

PATIENCE = 60
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "idle", "namespace": "default"},
    "spec": {"containers": [{"name": "probe", "image": "meshdojo/probe:1.0"}]},
}


@pytest.fixture
def started(environment: Environment) -> Iterator[Environment]:
    lifecycle.start(environment)
    yield environment
    lifecycle.delete(environment)


def _family(process: ProcessName) -> list[psutil.Process]:
    main = psutil.Process(process.pid)
    return [main, *main.children(recursive=True)]


async def _pod_when(environment: Environment, true: Callable[[Object], bool]) -> Object:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client, asyncio.timeout(PATIENCE):
        async for event in client.watch("pods", "default"):
            if true(event.object):
                return event.object
    raise AssertionError("the watch ended")


async def _create(environment: Environment) -> None:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client, asyncio.timeout(PATIENCE):
        async for event in client.watch("serviceaccounts", "default"):
            if event.object["metadata"]["name"] == "default":
                break
        await client.create("pods", POD, "default")


def _is_running(pod: Object) -> bool:
    return any("running" in status.get("state", {}) for status in pod.get("status", {}).get("containerStatuses", []))


def test_a_second_start_joins_the_first(started: Environment) -> None:
    first = lifecycle.running(started)
    assert lifecycle.start(started) is False
    assert lifecycle.running(started) == first


def test_two_starts_at_once_make_one_cluster(environment: Environment) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lifecycle.start, [environment, environment]))
    try:
        assert sorted(results) == [False, True]
    finally:
        lifecycle.delete(environment)


def test_stop_leaves_no_process_and_keeps_the_objects(started: Environment) -> None:
    asyncio.run(_create(started))
    asyncio.run(_pod_when(started, _is_running))
    family = _family(lifecycle.require(started))
    assert len(family) > 2
    assert lifecycle.stop(started)
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    lifecycle.start(started)
    pod = asyncio.run(_pod_when(started, lambda pod: _is_running(pod) and _restarts(pod) == 1))
    assert pod["metadata"]["name"] == "idle"


def test_after_a_kill_the_pods_go_on_and_a_start_joins_what_heals(started: Environment) -> None:
    asyncio.run(_create(started))
    before = asyncio.run(_pod_when(started, _is_running))
    process, keeper = lifecycle.require(started), keeping.keeper_of(started)
    assert keeper is not None
    others = [one for one in _family(process) if one.pid not in (process.pid, keeper.pid)]
    os.kill(process.pid, signal.SIGKILL)
    _wait_until(lambda: not process.alive())
    lifecycle.start(started)
    assert lifecycle.require(started) != process
    after = asyncio.run(_pod_when(started, _is_running))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"] == before["status"]
    assert all(one.is_running() for one in others)
    asyncio.run(_known(started))
    assert lifecycle.stop(started)
    assert psutil.wait_procs(others, timeout=PATIENCE)[1] == []


async def _known(environment: Environment) -> None:
    """The kubelet has the pod: it raises where it has not."""
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        await client.logs("default", "idle")


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("revived", [False, True])
def test_when_the_two_are_killed_at_once_nothing_is_left(started: Environment, revived: bool) -> None:
    asyncio.run(_create(started))
    asyncio.run(_pod_when(started, _is_running))
    family = _family(lifecycle.require(started))
    if revived:  # what was taken over belongs to the new process as it did to the old one
        process = lifecycle.require(started)
        os.kill(process.pid, signal.SIGKILL)
        _wait_until(lambda: not process.alive() and lifecycle.running(started) is not None)
        lifecycle.start(started)
        asyncio.run(_known(started))
    process, keeper = lifecycle.require(started), keeping.keeper_of(started)
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGSTOP)  # so that neither can start the other
    os.kill(process.pid, signal.SIGKILL)
    os.kill(keeper.pid, signal.SIGKILL)
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []


def test_stopping_in_the_middle_of_the_healing_leaves_nothing(started: Environment) -> None:
    asyncio.run(_create(started))
    asyncio.run(_pod_when(started, _is_running))
    process = lifecycle.require(started)
    family = _family(process)
    os.kill(process.pid, signal.SIGKILL)
    _wait_until(lambda: not process.alive())
    lifecycle.stop(started)
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    assert lifecycle.running(started) is None


def _restarts(pod: Object) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_a_tied_cluster_ends_with_the_process_that_started_it(environment: Environment) -> None:
    starter = (
        "import sys; from meshdojo.embedded import lifecycle; from meshdojo.embedded.environment import Environment; "
        "lifecycle.start(Environment.named(), tied=True); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "up\n"
            family = _family(lifecycle.require(environment))
            parent.kill()
            assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
        finally:
            parent.kill()
            lifecycle.delete(environment)


def test_two_environments_run_at_once(started: Environment) -> None:
    other = Environment.named("other")
    lifecycle.start(other)
    try:
        assert other.server != started.server
        assert lifecycle.running(started)
    finally:
        lifecycle.delete(other)


def test_a_start_that_fails_says_why(environment: Environment) -> None:
    environment.prepare().close()
    environment.journal.write_bytes(b"this is no journal\n{}\n")
    with pytest.raises(StartFailed, match="journal"):
        lifecycle.start(environment)
    assert lifecycle.running(environment) is None


def test_what_needs_a_running_environment_says_how_to_start_it(environment: Environment) -> None:
    with pytest.raises(NotRunning, match="meshdojo up --detach"):
        lifecycle.require(environment)
