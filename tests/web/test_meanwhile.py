from __future__ import annotations

import asyncio

import pytest

from meshdojo.web.meanwhile import meanwhile

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
