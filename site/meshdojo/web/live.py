"""What is true in the mesh now, for everybody who watches.

A `Judge` looks at a cluster. For each lab that somebody watches the `Hub` keeps one `LiveLab`, which runs the judge,
writes every attempt to `Progress` and only then wakes the watchers. A watcher asks for the state when woken, so one
that is slow sees fewer states but always the newest, and no queue can grow.

When the last watcher leaves, the judge stops after `LINGER` seconds (a reload of the page must not start it anew).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.progress import LabProgress, Progress, Verdict

LINGER = 15.0
STATUS_INTERVAL = 2.0
RESTART_DELAY = 5.0

log = logging.getLogger(__name__)

MeshState = Literal["unknown", "absent", "starting", "ready", "unreachable"]


@dataclass(frozen=True)
class MeshStatus:
    """How the mesh is: `state`, a sentence about it (`detail`), and the versions that run ('' where not known)."""

    backend: str
    state: MeshState = "unknown"
    detail: str = ""
    kubernetes: str = ""
    istio: str = ""


@dataclass(frozen=True)
class Checking:
    """The judge has begun to check a task."""

    task: str


@dataclass(frozen=True)
class Judged:
    """The judge has an outcome for a task."""

    task: str
    verdict: Verdict


@dataclass(frozen=True)
class Reported:
    """A verdict on a task that was found elsewhere, at that time, and is kept already."""

    task: str
    verdict: Verdict
    at: datetime


Update = Checking | Judged | Reported


class Judge(Protocol):
    """Looks at a cluster and says which tasks are done.

    `watch` judges every task of a lab at once, and again within a second of a change in the cluster, but not of
    its own traffic. One check runs at a time; changes that come meanwhile lead to one more round. It ends only when
    it is closed. What stops it from judging is a verdict 'error', not an exception. A `recheck` makes it judge now.
    Tasks in `passed` (kept current by the caller) passed at some time: the others are more urgent.
    """

    async def status(self) -> MeshStatus:
        """How the mesh is; answers within a second and never raises."""
        ...

    def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Update, None]:
        """What a lab's page is told: states of its checks, again whenever something has changed.

        `recheck` set means now; `passed` are the checks that were passed before. Close it with ``aclose()``."""
        ...

    async def close(self) -> None:
        """Let go of the cluster; watches end."""
        ...


@dataclass(frozen=True)
class Now:
    """What the judge found last about a task, and when."""

    verdict: Verdict
    at: datetime


@dataclass
class LiveState:
    """The state of a lab for one learner. `checking` is the task under the judge's eye, if any."""

    progress: LabProgress
    now: dict[str, Now] = field(default_factory=dict)
    checking: str | None = None


class LiveLab:
    """One lab that somebody watches: the judge at work, the state it found, and the watchers to wake."""

    def __init__(self, learner: int, lab: str, judge: Judge, progress: Progress, state: LiveState) -> None:
        self.state = state
        self.recheck = asyncio.Event()
        self._learner = learner
        self._lab = lab
        self.judge = judge
        self._progress = progress
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.TimerHandle | None = None

    def join(self) -> asyncio.Event:
        """Start watching; the event is set whenever the state has changed."""
        if self._stopping:
            self._stopping.cancel()
            self._stopping = None
        changed = asyncio.Event()
        self._watchers.add(changed)
        if self._task is None:
            self._start()
        return changed

    def leave(self, changed: asyncio.Event, linger: float) -> None:
        """Stop watching."""
        self._watchers.discard(changed)
        if not self._watchers and self._task:
            self._stopping = asyncio.get_running_loop().call_later(linger, self._task.cancel)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"judge {self._lab}")
        self._task.add_done_callback(self._ended)

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._task = self._stopping = self.state.checking = None
        if self._watchers:  # Somebody came back between the cancellation and its effect.
            self._start()

    async def stop(self) -> None:
        """Stop the judge now."""
        if self._stopping:
            self._stopping.cancel()
        self._watchers.clear()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Tell the watchers that something has changed."""
        for changed in self._watchers:
            changed.set()

    async def _run(self) -> None:
        passed = self.state.progress.passed_at
        while True:
            try:
                async with contextlib.aclosing(self.judge.watch(self._lab, self.recheck, passed)) as updates:
                    async for update in updates:
                        await self._apply(update)
            except Exception:
                log.exception("the judge of lab %s failed; it starts again in %d s", self._lab, RESTART_DELAY)
            await asyncio.sleep(RESTART_DELAY)

    async def _apply(self, update: Update) -> None:
        if isinstance(update, Checking):
            self.state.checking = update.task
        elif isinstance(update, Reported):
            self._show(update.task, update.verdict, update.at)
        else:
            self.state.checking = None
            if _is_old_news(self.state.now.get(update.task), update.verdict):
                self.wake()
                return
            at = await self._progress.record(self._learner, self._lab, update.task, update.verdict)
            self._show(update.task, update.verdict, at)
        self.wake()

    def _show(self, task: str, verdict: Verdict, at: datetime) -> None:
        self.state.now[task] = Now(verdict, at)
        if verdict.outcome == "pass":
            self.state.progress.passed_at.setdefault(task, at)


def _is_old_news(known: Now | None, verdict: Verdict) -> bool:
    """A broken environment is tried again and again: that is one attempt, not thousands."""
    return (
        known is not None
        and verdict.outcome == "error" == known.verdict.outcome
        and (verdict.reason == known.verdict.reason)
    )


class Hub:
    """Everything that is watched in this process.

    `elsewhere` gives the judge of a learner who is not the owner of this machine: today what their own meshdojo
    reports (`reported`), later an environment on a cluster.
    """

    def __init__(
        self,
        judge: Judge,
        progress: Progress,
        backend: str,
        linger: float = LINGER,
        elsewhere: Callable[[int], Judge] | None = None,
    ) -> None:
        self.mesh = MeshStatus(backend)
        # The lab that the owner opened last.
        self.reading = ""
        self.stopped = asyncio.Event()
        self.judge = judge
        self._elsewhere = elsewhere
        self._progress = progress
        self._linger = linger
        self._labs: dict[tuple[int, str], LiveLab] = {}
        # Each with its learner.
        self._watchers: dict[asyncio.Event, int] = {}
        self._pages = 0
        self._status_task: asyncio.Task[None] | None = None

    async def lab(self, learner: int, lab: str) -> LiveLab:
        """The live state of a lab; whoever is first brings it in from the database."""
        live = self._labs.get((learner, lab))
        if live is None:
            state = LiveState(await self._progress.lab(learner, lab))
            live = self._labs.setdefault(
                (learner, lab), LiveLab(learner, lab, self._judge_of(learner), self._progress, state)
            )
        return live

    def _judge_of(self, learner: int) -> Judge:
        """The owner's environment is here. Everybody else's is elsewhere: nothing of theirs is run on this machine."""
        if learner == LOCAL_LEARNER or self._elsewhere is None:
            return self.judge
        return self._elsewhere(learner)

    @asynccontextmanager
    async def watch(self, learner: int, lab: str | None, *, page: bool = True) -> AsyncIterator[asyncio.Event]:
        """Watch the mesh's status, and a lab if one is named; the event is set whenever something has changed.

        A `page` is for somebody to see: it says which lab is read."""
        live = await self.lab(learner, lab) if lab else None
        if page and lab and learner == LOCAL_LEARNER:
            self.reading = lab
        self._pages += page
        changed = live.join() if live else asyncio.Event()
        self._watchers[changed] = learner
        if learner == LOCAL_LEARNER and self._status_task is None:
            self._status_task = asyncio.create_task(self._follow_status(), name="mesh status")
        try:
            yield changed
        finally:
            self._pages -= page
            del self._watchers[changed]
            if live:
                live.leave(changed, self._linger)

    @property
    def watching(self) -> int:
        """How many live streams of pages are open."""
        return self._pages

    def wake(self) -> None:
        """Have the owner's pages look again: the mesh of this machine is shown to nobody else."""
        for changed, learner in self._watchers.items():
            if learner == LOCAL_LEARNER:
                changed.set()

    def stop_streams(self) -> None:
        """Let every watcher end, so that the server can shut down."""
        self.stopped.set()
        for changed in self._watchers:
            changed.set()

    async def close(self) -> None:
        """Stop everything."""
        self.stop_streams()
        if self._status_task:
            self._status_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._status_task
        for live in self._labs.values():
            await live.stop()
        await self.judge.close()

    async def _follow_status(self) -> None:
        while self._watchers:
            status = await self.judge.status()
            if status != self.mesh:
                self._on_mesh(self.mesh.state, status.state)
                self.mesh = status
                self.wake()
            await asyncio.sleep(STATUS_INTERVAL)
        self._status_task = None

    def _on_mesh(self, before: MeshState, now: MeshState) -> None:
        """A mesh that goes or comes back tells of no change by itself."""
        if before not in (now, "unknown"):
            for live in self._labs.values():
                live.recheck.set()
