"""Judging again whenever the cluster has changed: behind ``meshdojo check --watch`` and the pages of the site.

    async for event in watch(client, ["canary.hidden", "canary.weight"]):
        match event:
            case Begun(check): ...      # a check is being made
            case Result(...): ...       # this came of it
            case Settled(results): ...  # all were made; nothing has changed since, so now it waits

One check runs at a time. Changes that come in the meantime lead to one more round. What the checks do themselves (they
make a probe, they send requests) is no change.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from meshdojo.checks import convergence
from meshdojo.checks.outcome import Error
from meshdojo.checks.probe import NAMESPACES
from meshdojo.checks.runner import Result, Runner
from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.informer import Change, Informers

RESOURCES = ("namespaces", "pods", "services", "deployments.apps")
IGNORED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", *NAMESPACES.values()})
# Several objects of one `kubectl apply` come one after the other; a round for each would be in vain.
COALESCE_SECONDS = 0.05
SYNC_SECONDS = 2.0
# What broke may mend itself without any object changing.
RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 15.0


@dataclass(frozen=True)
class Begun:
    """The check with this id is being made."""

    check: str


@dataclass(frozen=True)
class Settled:
    """A round is over. `results` are in the order of the checks."""

    results: tuple[Result, ...]

    @property
    def broken(self) -> bool:
        """Whether something could not be judged."""
        return any(isinstance(result.outcome, Error) for result in self.results)


Event = Begun | Result | Settled


class Changes:
    """Whether anything that checks look at has changed; an async context manager that watches while it is open."""

    def __init__(self, client: Client) -> None:
        self._changed = asyncio.Event()
        self._informers = Informers(client)
        for resource in RESOURCES:
            self._informers.of(resource).subscribe(self._on_change)
        for resource in convergence.KINDS:
            self._informers.of(resource, optional=True).subscribe(self._on_change)

    async def __aenter__(self) -> Self:
        # Without an answer the watch goes on trying; what comes late then counts as a change.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._informers.start(), SYNC_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._informers.stop()

    def clear(self) -> None:
        """Forget what has changed so far."""
        self._changed.clear()

    async def wait(self, recheck: asyncio.Event, seconds: float | None = None) -> None:
        """Return shortly after the next change, when `recheck` is set, or after `seconds`."""
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, recheck)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        recheck.clear()
        if self._changed.is_set():
            await asyncio.sleep(COALESCE_SECONDS)

    def _on_change(self, change: Change, old: Object | None, new: Object | None) -> None:
        if is_relevant(old, new):
            self._changed.set()


def is_relevant(old: Object | None, new: Object | None) -> bool:
    """Whether a check could see this change: not in a namespace of ours, and not only in book-keeping."""
    metadata = (new or old or {})["metadata"]
    namespace = metadata.get("namespace") or metadata["name"]
    return namespace not in IGNORED_NAMESPACES and _substance(old) != _substance(new)


def _substance(obj: Object | None) -> Any:
    if obj is None:
        return None
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _BOOK_KEEPING}
    return {**obj, "metadata": metadata}


_BOOK_KEEPING = frozenset({"resourceVersion", "managedFields"})


async def watch(
    client: HTTPClient,
    checks: Sequence[str] | Callable[[], Sequence[str]],
    recheck: asyncio.Event | None = None,
) -> AsyncGenerator[Event, None]:
    """Judge now, and again after each change, for ever: close the generator to end it.

    `checks` may be a function, asked before each round: what matters most then comes first. Setting `recheck` asks
    for a round now. Raises UnknownCheck; whatever goes wrong in a check is its outcome.
    """
    runner, poke, retry = Runner(client), recheck or asyncio.Event(), RETRY_SECONDS
    async with Changes(client) as changes:
        while True:
            changes.clear()
            settled = Settled(())
            async with contextlib.aclosing(_round(runner, checks() if callable(checks) else checks)) as events:
                async for event in events:
                    settled = event if isinstance(event, Settled) else settled
                    yield event
            await changes.wait(poke, retry if settled.broken else None)
            retry = min(2 * retry, LONGEST_RETRY_SECONDS) if settled.broken else RETRY_SECONDS


async def _round(runner: Runner, checks: Sequence[str]) -> AsyncGenerator[Event, None]:
    results: asyncio.Queue[Result | None] = asyncio.Queue()
    run = asyncio.create_task(runner.run(checks, results.put_nowait))
    run.add_done_callback(lambda _: results.put_nowait(None))
    try:
        for check in checks:
            yield Begun(check)
            result = await results.get()
            if result is None:
                break
            yield result
        yield Settled(tuple(await run))
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
