from __future__ import annotations

import asyncio

import pytest

from meshdojo.web.meanwhile import meanwhile, whole

pytestmark = pytest.mark.anyio


async def test_the_work_goes_on_during_the_block_and_has_ended_after_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with meanwhile(work, "work"):
        await begun.wait()
        assert not ended.is_set()
    assert ended.is_set()


async def test_what_ended_the_work_is_told() -> None:
    failed = asyncio.Event()

    async def work() -> None:
        failed.set()
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        async with meanwhile(work, "work"):
            await failed.wait()


async def test_the_whole_is_done_although_its_caller_is_cancelled() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await go_on.wait()
        done.set()
        return "done"

    caller = asyncio.create_task(whole(work()))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done.is_set()
    assert await whole(work()) == "done"
