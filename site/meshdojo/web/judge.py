"""The judge that looks at a real cluster: runs a lab's checks, and again when the cluster changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from meshdojo.backends.base import Backend, Status
from meshdojo.backends.select import open_backend
from meshdojo.checks.outcome import Error, Fail, Pass
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
    """Judges the cluster of one backend. `checks_of` gives a lab's tasks with their checks."""

    def __init__(self, backend: Backend, checks_of: Callable[[str], Checks]) -> None:
        self._backend = backend
        self._checks_of = checks_of

    @classmethod
    def of(cls, backend: str, instance: str, checks_of: Callable[[str], Checks]) -> ClusterJudge:
        """The judge of a backend by name. Raises `backends.BackendError` for an unknown one."""
        return cls(open_backend(backend, instance), checks_of)

    async def status(self) -> MeshStatus:
        """What the backend says of itself."""
        return mesh_status(self._backend.name, await self._backend.status())

    async def watch(self, lab: str, recheck: asyncio.Event) -> AsyncGenerator[Update, None]:
        """See `live.Judge`. Opens the cluster anew when its kubeconfig has changed (another start, another address)."""
        passed: set[str] = set()
        while True:
            stamp = _stamp(self._backend.kubeconfig)
            try:
                client = HTTPClient.from_kubeconfig(self._backend.kubeconfig)
            except ClusterError:
                for task in self._checks_of(lab):
                    yield Judged(task, _no_cluster(self._backend.name))
                await _wait_for_another(self._backend.kubeconfig, stamp, recheck)
                continue
            async with client, contextlib.aclosing(self._judge(client, lab, passed, recheck)) as updates:
                async for update in updates:
                    yield update
                    if _stamp(self._backend.kubeconfig) != stamp:
                        break

    async def close(self) -> None:
        """Nothing is kept between two watches."""

    async def _judge(
        self, client: HTTPClient, lab: str, passed: set[str], recheck: asyncio.Event
    ) -> AsyncGenerator[Update, None]:
        """Outcomes of checks, gathered into verdicts on tasks. `passed` is what passed last: it is judged last."""
        checks = self._checks_of(lab)
        task_of = {check: task for task, ids in checks.items() for check in ids}
        found: dict[str, list[Result]] = {}

        def order() -> list[str]:
            found.clear()
            tasks = sorted(checks, key=lambda task: task in passed)
            return [check for task in tasks for check in checks[task]]

        async with contextlib.aclosing(watch(client, order, recheck)) as events:
            async for event in events:
                if isinstance(event, Begun):
                    if task_of[event.check] not in found:
                        yield Checking(task_of[event.check])
                elif not isinstance(event, Settled):
                    task = task_of[event.check.id]
                    results = found.setdefault(task, [])
                    results.append(event)
                    if len(results) == len(checks[task]):
                        verdict = summary(results)
                        (passed.add if verdict.outcome == "pass" else passed.discard)(task)
                        yield Judged(task, verdict)


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


def _no_cluster(backend: str) -> Verdict:
    name = "" if backend == "embedded" else f" --backend {backend}"
    return Verdict("error", "No mesh is running.", hint=f"Start it in a terminal: meshdojo up --detach{name}")


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
