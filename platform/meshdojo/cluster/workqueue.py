"""`WorkQueue`: keys to reconcile, each at most once at a time, failing ones again after a growing pause.

The event-driven half of a controller: callbacks of informers `add` keys, workers reconcile them in order.
Modelled on the semantics of ``k8s.io/client-go/util/workqueue``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from meshdojo.cluster.errors import ClusterError, StatusError

Key = TypeVar("Key", bound=Hashable)
FIRST_RETRY_SECONDS = 0.005
LONGEST_RETRY_SECONDS = 30.0
# Timers stand still while a laptop sleeps, and do not hear of a clock that was set.
LONGEST_WAIT_SECONDS = 30.0
log = logging.getLogger(__name__)


class WorkQueue(Generic[Key]):
    """Workers that call ``await reconcile(key)`` for every key added, never twice at once for the same key.

    Equal keys that wait are one. A key that is added while it is being reconciled is reconciled again afterwards.
    """

    def __init__(self, name: str, reconcile: Callable[[Key], Awaitable[None]], *, workers: int = 1) -> None:
        self._name = name
        self._reconcile = reconcile
        self._workers = workers
        # An ordered set. A plain dict would get slower with each key that is taken from its front.
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._active: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work, in the running event loop; keys may have been added before."""
        for number in range(self._workers):
            self._tasks.append(asyncio.create_task(self._work(), name=f"{self._name} worker {number}"))

    async def stop(self) -> None:
        """Forget everything that waits, and end the workers where they are."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def add(self, key: Key) -> None:
        """Reconcile `key` soon."""
        self._waiting[key] = None
        self._idle.clear()
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Reconcile `key` once that many seconds have passed; the earliest of several such wishes counts.

        After `LONGEST_WAIT_SECONDS` at the latest: whoever waits for a time of day looks at the clock again then.
        """
        loop = asyncio.get_running_loop()
        seconds = min(seconds, LONGEST_WAIT_SECONDS)
        earlier = self._timers.get(key)
        if earlier is not None and earlier.when() <= loop.time() + seconds:
            return
        if earlier is not None:
            earlier.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    async def idle(self) -> None:
        """Wait until nothing is left to do now (keys whose pause has not passed do not count)."""
        await self._idle.wait()

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            while (key := next((key for key in self._waiting if key not in self._active), None)) is not None:
                del self._waiting[key]
                self._active.add(key)
                await self._attempt(key)
                self._active.remove(key)
                # A client in the same process never waits: without a pause thousands of keys would keep everybody
                # else waiting.
                await asyncio.sleep(0)
            if not self._waiting and not self._active:
                self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    async def _attempt(self, key: Key) -> None:
        try:
            await self._reconcile(key)
        except ClusterError as error:
            log.log(_level(error), "%s %s: %s; trying again", self._name, key, error)
            self._retry(key)
        except Exception:
            log.exception("%s %s failed; trying again", self._name, key)
            self._retry(key)
        else:
            self._failures.pop(key, None)

    def _retry(self, key: Key) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 20), LONGEST_RETRY_SECONDS))


def _level(error: ClusterError) -> int:
    # A conflict is an everyday event: somebody else was faster.
    return logging.DEBUG if isinstance(error, StatusError) and error.code == 409 else logging.WARNING
