"""Something that goes on in the background as long as a block lasts, and something that is not broken off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def meanwhile(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncIterator[None]:
    """Run `work` as a task with this name; at the block's end it is cancelled, and has ended.

    Raises what the work raised, if it ended by itself.
    """
    task = asyncio.create_task(work(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which comes to its end also when the caller is cancelled.

    For what must not be left half done: a question to the database whose thread would answer a loop that is gone.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
