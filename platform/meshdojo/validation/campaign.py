"""The proof of several labs, several times, in any order: what one leaves behind must not be what another finds.

Each pass begins with a cluster without a lab and ends with one: what is then there must be what was there before. In
between the labs follow one another as they do for a learner, each set up on top of what the one before left.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshdojo.backends.base import Backend, BackendError, Progress
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.lab import Lab
from meshdojo.validation import inventory, setup
from meshdojo.validation.report import Phase, Report, Step, merged
from meshdojo.validation.validate import validate

COURSE = "(all labs)"
OnStep = Callable[[Report, Step], None]


@dataclass(frozen=True)
class Plan:
    """How often and in which order. `seed` None: the order of the course; the same seed gives the same orders."""

    passes: int = 1
    seed: int | None = None

    def orders(self, labs: Sequence[Lab]) -> list[list[Lab]]:
        """The labs of each pass, in order."""
        return [self._order(labs, number) for number in range(self.passes)]

    def _order(self, labs: Sequence[Lab], number: int) -> list[Lab]:
        order = list(labs)
        if self.seed is not None:
            random.Random(f"{self.seed}/{number}").shuffle(order)
        return order


def slowest_first(labs: Sequence[Lab]) -> list[Lab]:
    """By how long their commands may take: begun last, the slowest one would be waited for by all other jobs."""

    def seconds(lab: Lab) -> float:
        sections, solutions = (fence for one in lab.sections for fence in one.fences), lab.solutions
        fences = [*sections, *(fence for solution in solutions for fence in solution.fences)]
        return sum(fence.timeout for fence in fences if not fence.no_run)

    return sorted(labs, key=seconds, reverse=True)


Job = Callable[[], Awaitable["Campaign"]]


async def side_by_side(jobs: Sequence[Job], orders: Sequence[Sequence[Lab]]) -> list[Report]:
    """The labs of each pass shared out: each job takes the next one when it is done with one.

    A job starts a cluster of its own and returns a campaign on it, so that nothing of one lab is seen by another, and
    who is ready begins. Raises what a job raises, once all have ended.
    """
    shared = [deque(order) for order in orders]

    async def run(job: Job) -> list[Report]:
        return await (await job()).run(orders, shared)

    found = await asyncio.gather(*(run(job) for job in jobs), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return merged(report for reports in found if not isinstance(reports, BaseException) for report in reports)


class Campaign:
    """Proves labs on one started backend. `reports` has one for each lab, and one for what they leave together."""

    def __init__(
        self,
        backend: Backend,
        folder: Path | None = None,
        progress: Progress = setup.silent,
        on_step: OnStep = lambda report, step: None,
    ) -> None:
        self.reports: dict[str, Report] = {}
        self._backend = backend
        self._folder = folder
        self._progress = progress
        self._on_step = on_step

    async def run(self, orders: Sequence[Sequence[Lab]], shared: Sequence[deque[Lab]] | None = None) -> list[Report]:
        """All passes. A lab that did not hold is not tried again. Raises nothing for what is wrong with a lab.

        `shared`: for each pass what is left of it, for all who prove it.
        """
        left = shared or [deque(order) for order in orders]
        for number, (order, rest) in enumerate(zip(orders, left, strict=True), 1):
            await self._once(order, rest, number if len(orders) > 1 else 0)
        return list(self.reports.values())

    async def _once(self, order: Sequence[Lab], rest: deque[Lab], number: int) -> None:
        whole = self._report(COURSE)
        whole.number = number
        before = await self._removed(whole, order, "nothing is there before", None)
        if before is None:
            return
        while rest:
            lab = rest.popleft()
            report = self._report(lab.id)
            report.number = number
            if not report.failures:
                await validate(
                    lab,
                    self._backend,
                    report=report,
                    folder=self._folder,
                    progress=self._progress,
                    on_step=lambda step, report=report: self._on_step(report, step),  # type: ignore[misc]
                )
        await self._removed(whole, order, "nothing is left", before)

    async def _removed(
        self, report: Report, labs: Sequence[Lab], name: str, before: frozenset[inventory.Key] | None
    ) -> frozenset[inventory.Key] | None:
        """Take all labs away; what is then there, or None when that failed. With `before`, it must be the same."""
        start, problem = time.monotonic(), ""
        left: frozenset[inventory.Key] | None = None
        try:
            await setup.remove_all(self._backend, labs, self._progress)
            if any("istio" in lab.front.needs for lab in labs):
                await setup.prepare(self._backend, None, self._progress)
            else:
                await self._backend.remove_istio(self._progress)
            async with HTTPClient.from_kubeconfig(self._backend.kubeconfig) as client:
                left = await inventory.take(client, owned=self._backend.owned)
            if before is not None and left - before:
                problem = f"left behind: {inventory.words(left - before)}"
        except (BackendError, ClusterError) as error:
            problem = f"{type(error).__name__}: {error}"
        phase: Phase = "removal"
        step = Step(phase, name, time.monotonic() - start, problem, report.number)
        report.steps.append(step)
        self._on_step(report, step)
        return left

    def _report(self, lab: str) -> Report:
        return self.reports.setdefault(lab, Report(lab, self._backend.name))
