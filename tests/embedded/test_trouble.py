"""A full disk and a laptop's sleep, on a real environment."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import keeping, lifecycle
from meshdojo.embedded.environment import Environment
from meshdojo.kubelet.processes import PROCESSES, zygote_of

PATIENCE = 60
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def started(environment: Environment) -> Iterator[Environment]:
    lifecycle.start(environment)
    yield environment
    lifecycle.delete(environment)


def _processes(environment: Environment) -> list[psutil.Process]:
    """Of the environment, without the zygote's standby, which is another from time to time."""
    main = psutil.Process(lifecycle.require(environment).pid)
    keeper = keeping.keeper_of(environment)
    others = [psutil.Process(keeper.pid)] if keeper is not None else []
    found = {one.pid: one for one in [main, *main.children(recursive=True), *others]}
    zygote = zygote_of(environment.run / PROCESSES)
    return [one for pid, one in found.items() if pid == zygote or "meshdojo.kubelet.zygote" not in _command(one)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return "meshdojo.kubelet.zygote"


@contextmanager
def _full_disk(processes: list[psutil.Process]) -> Iterator[None]:
    """No file of theirs can grow: the kernel refuses, as on a full disk (EFBIG in place of ENOSPC)."""
    before = [(one.pid, resource.prlimit(one.pid, resource.RLIMIT_FSIZE)) for one in processes]
    for pid, (_, hard) in before:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _map(name: str) -> Object:
    return {"metadata": {"name": name}, "data": {"a": "1"}}


async def _ready_pod(client: HTTPClient) -> Object:
    container = {"name": "c", "image": "istio/examples-helloworld-v1"}
    async with asyncio.timeout(PATIENCE):
        async for event in client.watch("serviceaccounts", "default"):
            if event.object["metadata"]["name"] == "default":
                break
        await client.create("pods", {"metadata": {"name": "web"}, "spec": {"containers": [container]}}, "default")
        async for event in client.watch("pods", "default"):
            statuses = event.object.get("status", {}).get("containerStatuses", [])
            if any("running" in one["state"] for one in statuses):
                return event.object
    raise AssertionError("the watch ended")


async def test_a_full_disk_refuses_writes_with_words_and_everything_else_goes_on(started: Environment) -> None:
    async with HTTPClient.from_kubeconfig(started.kubeconfig) as client:
        pod = await _ready_pod(client)
        await client.create("configmaps", _map("before"), "default")
        processes = _processes(started)
        with _full_disk(processes):
            with pytest.raises(StatusError, match=r"journal.*(large|space)") as refused:
                await client.create("configmaps", _map("lost"), "default")
            assert refused.value.code == 507
            with pytest.raises(StatusError, match="journal"):
                await client.delete("configmaps", "before", "default")
            assert (await client.get("configmaps", "before", "default"))["data"] == {"a": "1"}
            assert await _hello(client) == 0  # forks a process, whose output is not kept in a file
        await client.create("configmaps", _map("after"), "default")
        same = await client.get("pods", "web", "default")
        assert same["metadata"]["uid"] == pod["metadata"]["uid"]
        assert same["status"]["containerStatuses"][0]["restartCount"] == 0
    assert {one.pid for one in _processes(started)} == {one.pid for one in processes}
    lifecycle.stop(started)
    lifecycle.start(started)
    async with HTTPClient.from_kubeconfig(started.kubeconfig) as client:
        found = {one["metadata"]["name"] for one in (await client.list("configmaps", "default")).items}
        assert {"before", "after"} <= found
        assert "lost" not in found


async def _hello(client: HTTPClient) -> int:
    result = await client.exec("default", "web", ["echo", "hello"])
    assert result.stdout == b"hello\n"
    return result.exit_code


async def test_a_sleep_of_all_processes_changes_nothing(started: Environment) -> None:
    async with HTTPClient.from_kubeconfig(started.kubeconfig) as client:
        pod = await _ready_pod(client)
        watch = client.watch("configmaps", "default")
        async with asyncio.timeout(PATIENCE):
            first = await anext(watch)
        assert first.object["metadata"]["name"] == "kube-root-ca.crt"
        processes = _processes(started)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for one in processes:
                os.kill(one.pid, number)
            if number == signal.SIGSTOP:
                for one in processes:
                    _wait_until_stopped(one)
        async with asyncio.timeout(PATIENCE):
            await client.create("configmaps", _map("morning"), "default")
            while (await anext(watch)).object["metadata"]["name"] != "morning":
                pass
        same = await client.get("pods", "web", "default")
        assert same["metadata"]["uid"] == pod["metadata"]["uid"]
        assert same["status"]["containerStatuses"][0]["restartCount"] == 0
        assert await _hello(client) == 0
    assert {one.pid for one in _processes(started)} == {one.pid for one in processes}


def _wait_until_stopped(process: psutil.Process) -> None:
    while process.status() != psutil.STATUS_STOPPED:
        pass
