"""Work queues: once for equal keys, again after a failure, never twice at once for one key."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from meshdojo.cluster import workqueue
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.workqueue import WorkQueue

pytestmark = pytest.mark.anyio
PATIENCE = 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def worked(reconcile: Callable[[str], Awaitable[None]], *keys: str, workers: int = 1) -> WorkQueue[str]:
    queue: WorkQueue[str] = WorkQueue("test", reconcile, workers=workers)
    for key in keys:
        queue.add(key)
    queue.start()
    return queue


async def test_equal_keys_are_reconciled_once_and_in_order() -> None:
    seen: list[str] = []

    async def reconcile(key: str) -> None:
        seen.append(key)

    queue = await worked(reconcile, "b", "a", "b")
    async with asyncio.timeout(PATIENCE):
        await queue.idle()
    await queue.stop()
    assert seen == ["b", "a"]


async def test_a_key_added_while_it_is_reconciled_is_reconciled_again() -> None:
    times: Counter[str] = Counter()

    async def reconcile(key: str) -> None:
        times[key] += 1
        if times[key] == 1:
            queue.add(key)
            await asyncio.sleep(0)

    queue = await worked(reconcile, "a", workers=3)
    async with asyncio.timeout(PATIENCE):
        await queue.idle()
    await queue.stop()
    assert times["a"] == 2


async def test_one_key_is_never_in_two_hands() -> None:
    at_work: Counter[str] = Counter()
    most: Counter[str] = Counter()
    both = asyncio.Event()

    async def reconcile(key: str) -> None:
        at_work[key] += 1
        most[key] = max(most[key], at_work[key])
        if not both.is_set():
            queue.add(key)  # a third worker is free to take it
        if len(+at_work) == 2:
            both.set()
        await both.wait()
        at_work[key] -= 1

    queue = await worked(reconcile, "a", "b", workers=3)
    async with asyncio.timeout(PATIENCE):
        await queue.idle()
    await queue.stop()
    assert most == {"a": 1, "b": 1}


@pytest.mark.parametrize("failure", [StatusError(409, "Conflict", "changed"), RuntimeError("a mistake of ours")])
async def test_a_failing_key_is_tried_again_and_the_others_go_on(failure: Exception) -> None:
    seen: list[str] = []
    recovered = asyncio.Event()

    async def reconcile(key: str) -> None:
        seen.append(key)
        if key == "bad" and seen.count("bad") < 4:
            raise failure
        if key == "bad":
            recovered.set()

    queue = await worked(reconcile, "bad", "good")
    async with asyncio.timeout(PATIENCE):
        await recovered.wait()
    await queue.stop()
    assert seen[:2] == ["bad", "good"]
    assert seen.count("bad") == 4


async def test_pauses_grow_with_each_failure_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(workqueue, "LONGEST_RETRY_SECONDS", 0.03)

    async def reconcile(key: str) -> None:
        raise StatusError(500, "InternalError", "no")

    queue: WorkQueue[str] = WorkQueue("test", reconcile)
    enough = asyncio.Event()

    def note(key: str, seconds: float) -> None:
        pauses.append(seconds)
        enough.set() if len(pauses) == 5 else queue.add(key)

    monkeypatch.setattr(queue, "add_after", note)
    queue.add("a")
    queue.start()
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    await queue.stop()
    assert pauses == [0.005, 0.01, 0.02, 0.03, 0.03]


async def test_the_earliest_of_several_delays_counts() -> None:
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        done.set()

    queue = await worked(reconcile)
    queue.add_after("a", 3600)
    queue.add_after("a", 0.01)
    queue.add_after("a", 3600)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    await queue.stop()


async def test_who_waits_for_long_looks_at_the_clock_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "LONGEST_WAIT_SECONDS", 0.001)
    seen = asyncio.Event()

    async def reconcile(key: str) -> None:
        seen.set()

    queue = await worked(reconcile)
    queue.add_after("a", 86_400)
    async with asyncio.timeout(PATIENCE):
        await seen.wait()
    await queue.stop()


def test_everybody_else_gets_a_turn_between_two_keys() -> None:
    async def scenario() -> None:
        done: list[int] = []

        async def reconcile(key: int) -> None:
            done.append(key)

        queue = WorkQueue("test", reconcile)
        for key in range(100):
            queue.add(key)
        queue.start()
        seen = []
        while len(done) < 100:
            seen.append(len(done))
            await asyncio.sleep(0)
        await queue.stop()
        assert max(later - earlier for earlier, later in pairwise([*seen, 100])) <= 2

    asyncio.run(scenario())
