"""The judge that looks at a real cluster: runs a lab's checks, and again when the cluster changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Container, Mapping, Sequence
from pathlib import Path

from meshdojo.backends.base import Backend, Status
from meshdojo.checks.outcome import Error, Fail, Pass
from meshdojo.checks.registry import UnknownCheck
from meshdojo.checks.runner import Result
from meshdojo.checks.watch import Begun, Settled, watch
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.web.live import Checking, Judged, MeshState, MeshStatus, Update
from meshdojo.web.progress import Verdict

LOOK_SECONDS = 0.25

# A task's id and the ids of its checks, in the order of the lab.
Checks = Mapping[str, Sequence[str]]


class ClusterJudge:
    """Judges the cluster of one backend. `checks_of` gives a lab's tasks with their checks, `start` starts it."""

    def __init__(self, backend: Backend, checks_of: Callable[[str], Checks], start: str) -> None:
        self._backend = backend
        self._checks_of = checks_of
        self._no_cluster = Verdict("error", "No mesh is running.", hint=f"Start it in a terminal: {start}")

    async def status(self) -> MeshStatus:
        """What the backend says of itself."""
        return mesh_status(self._backend.name, await self._backend.status())

    async def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Update, None]:
        """See `live.Judge`. Opens the cluster anew when its kubeconfig has changed (another start, another address)."""
        path = self._backend.kubeconfig
        while True:
            stamp = _stamp(path)
            try:
                client = HTTPClient.from_kubeconfig(path)
            except ClusterError:
                for update in self._all(lab, self._no_cluster):
                    yield update
                await _wait_for_another(path, stamp, recheck)
                continue
            judging = contextlib.aclosing(self._judge(client, lab, passed, recheck))
            async with client, _asking_when_moved(path, stamp, recheck), judging as updates:
                async for judged in updates:
                    if _stamp(path) != stamp:
                        break
                    yield judged

    async def close(self) -> None:
        """Nothing is kept between two watches."""

    async def _judge(
        self, client: HTTPClient, lab: str, passed: Container[str], recheck: asyncio.Event
    ) -> AsyncGenerator[Update, None]:
        """Outcomes of checks, gathered into verdicts on tasks."""
        this = _Round({}, passed)

        def order() -> list[str]:
            nonlocal this
            this = _Round(self._checks_of(lab), passed)
            return this.checks()

        try:
            async with contextlib.aclosing(watch(client, order, recheck)) as events:
                async for event in events:
                    if isinstance(event, Begun):
                        yield Checking(this.task_of(event.check))
                    elif not isinstance(event, Settled):
                        for task, verdict in this.take(event):
                            yield Judged(task, verdict)
        except UnknownCheck as error:
            for update in self._all(lab, Verdict("error", f"This lab is broken: {error}.", hint="Mend its lab.md.")):
                yield update
            await recheck.wait()

    def _all(self, lab: str, verdict: Verdict) -> list[Judged]:
        return [Judged(task, verdict) for task in self._checks_of(lab)]


class _Round:
    """One round over a lab: tasks that have not passed come first. Tasks may share a check; it is made once."""

    def __init__(self, checks: Checks, passed: Container[str]) -> None:
        self._open = {task: checks[task] for task in sorted(checks, key=lambda task: task in passed)}
        self._found: dict[str, Result] = {}

    def checks(self) -> list[str]:
        """What is to be made, in order."""
        return list(dict.fromkeys(check for ids in self._open.values() for check in ids))

    def task_of(self, check: str) -> str:
        """The task for whose sake this check is made."""
        return next(task for task, ids in self._open.items() if check in ids)

    def take(self, result: Result) -> list[tuple[str, Verdict]]:
        """The verdicts that this result completes."""
        self._found[result.check.id] = result
        complete = [task for task, ids in self._open.items() if all(check in self._found for check in ids)]
        return [(task, summary([self._found[check] for check in self._open.pop(task)])) for task in complete]


def summary(results: Sequence[Result]) -> Verdict:
    """The verdict on a task: passed if every check did, else what the first that did not says. Errors come first."""
    seconds = sum(result.seconds for result in results)
    outcomes = [result.outcome for result in results]
    for error in outcomes:
        if isinstance(error, Error):
            return Verdict("error", error.reason, hint=error.remedy, seconds=seconds)
    for fail in outcomes:
        if isinstance(fail, Fail):
            return Verdict("fail", fail.reason, fail.saw, fail.expected, fail.hint, seconds)
    saw = "\n".join(dict.fromkeys(outcome.saw for outcome in outcomes if isinstance(outcome, Pass)))
    return Verdict("pass", saw=saw, seconds=seconds)


def mesh_status(backend: str, status: Status) -> MeshStatus:
    """A backend's status in the words of the site."""
    if not status.running:
        return MeshStatus(backend, "absent", status.detail)
    state: MeshState = "ready" if status.ready else "unreachable"
    return MeshStatus(backend, state, status.detail, status.kubernetes, status.istio)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


async def _wait_for_another(path: Path, stamp: tuple[int, int] | None, recheck: asyncio.Event) -> None:
    """Until the kubeconfig is another one than `stamp`, or somebody asks."""
    while _stamp(path) == stamp and not recheck.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recheck.wait(), LOOK_SECONDS)
    recheck.clear()


@contextlib.asynccontextmanager
async def _asking_when_moved(
    path: Path, stamp: tuple[int, int] | None, recheck: asyncio.Event
) -> AsyncGenerator[None, None]:
    """Meanwhile set `recheck` if the kubeconfig becomes another one: a cluster that is gone tells of no change."""

    async def look() -> None:
        await _wait_for_another(path, stamp, asyncio.Event())
        recheck.set()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
