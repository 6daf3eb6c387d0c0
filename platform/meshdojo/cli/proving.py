"""What ``meshdojo validate`` does: proves labs, shows how far it is, and then the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from meshdojo.backends.base import Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.select import open_backend
from meshdojo.cli.console import EXIT_FAILED, err, out, run
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.embedded import lifecycle
from meshdojo.errors import UsageError
from meshdojo.validation.campaign import COURSE, Campaign, Plan, side_by_side, slowest_first
from meshdojo.validation.report import Report, Step, junit, table

OWN_ENVIRONMENTS = ("embedded", "kind")


@dataclass(frozen=True)
class Where:
    """Backend and environment, and how many of them side by side."""

    backend: str
    instance: str
    jobs: int


def prove(names: list[str], where: Where, plan: Plan, folder: Path, junit_file: Path | None) -> int:
    """Prove the labs with these names (none: all); returns the exit code. Raises UserError."""
    course = load_course()
    labs = [course.lab(name) for name in names] if names else list(course.labs)
    if where.jobs > 1 and where.backend not in OWN_ENVIRONMENTS:
        raise UsageError(
            f"--jobs is for backends whose environments meshdojo can make: {' and '.join(OWN_ENVIRONMENTS)}. "
            f"{where.backend} has one job."
        )
    if junit_file and not junit_file.absolute().parent.is_dir():
        raise UsageError(f"{junit_file} cannot be written: there is no directory {junit_file.absolute().parent}")
    orders = plan.orders(slowest_first(labs) if where.jobs > 1 else labs)
    for number, order in enumerate(orders, 1):
        seed = "the course's order" if plan.seed is None else f"seed {plan.seed}"
        err.print(f"pass {number} of {plan.passes} ({seed}): {' '.join(lab.id for lab in order)}", markup=False)
    with _Display(err.is_terminal) as display:
        reports = run(_all(where, orders, folder, display))
    out.print(table(reports))
    for report in reports:
        for step in report.failures:
            err.print(f"{report.lab}: {step.phase}: {step.name}: {step.problem}", markup=False)
        if report.folder:
            err.print(f"{report.lab}: what explains it is in {report.folder}", markup=False)
    if junit_file:
        junit_file.write_text(junit(reports))
    return 0 if all(report.proven for report in reports) else EXIT_FAILED


async def _all(where: Where, orders: list[list[Lab]], folder: Path, display: _Display) -> list[Report]:
    if where.jobs == 1:
        backend = open_backend(where.backend, where.instance)
        with display.job(sum(map(len, orders))) as (progress, on_step):
            await backend.start(progress)
            return await Campaign(backend, folder, progress, on_step).run(orders)
    jobs = min(where.jobs, max(map(len, orders)))
    async with AsyncExitStack() as stack:
        return await side_by_side(
            [partial(_in_scratch, stack, where, number, folder, display) for number in range(1, jobs + 1)], orders
        )


async def _in_scratch(stack: AsyncExitStack, where: Where, number: int, folder: Path, display: _Display) -> Campaign:
    """One in an environment of its own, which is deleted when the stack is left."""
    backend = open_backend(where.backend, f"{where.instance}-job-{number}")
    progress, on_step = stack.enter_context(display.job(None))
    stack.push_async_callback(_delete, backend)
    await backend.start(progress)
    return Campaign(backend, folder, progress, on_step)


async def _delete(backend: Backend) -> None:
    if isinstance(backend, EmbeddedBackend):
        await asyncio.to_thread(lifecycle.delete, backend.instance)
    else:
        await backend.stop()


class _Display:
    """A line for each job that shows what is going on, and a line for each lab that is done."""

    def __init__(self, terminal: bool) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, disable=not terminal)

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def job(self, labs: int | None) -> Iterator[tuple[Callable[[str], None], Callable[[Report, Step], None]]]:
        """What is going on, and what a step's end shows, for one job that proves so many labs (None: not known)."""
        task = self._progress.add_task("starting", total=labs)
        yield (lambda text: self._show(task, text)), (lambda report, step: self._step(task, report, step))
        self._progress.remove_task(task)

    def _show(self, task: TaskID, text: str) -> None:
        self._progress.update(task, description=text.splitlines()[0][:70])

    def _step(self, task: TaskID, report: Report, step: Step) -> None:
        where = f"pass {step.number}, {report.lab}" if step.number else report.lab
        if not step.passed:
            err.print(f"{where}: {step.phase}: {step.name} DOES NOT HOLD", markup=False)
        elif step.phase in ("reset", "removal"):
            spent = sum(one.seconds for one in report.steps if one.number == step.number)
            err.print(f"{where}: {step.name} ({spent:.1f} s)", markup=False)
        self._show(task, f"{where}: {step.phase}: {step.name}")
        if report.lab != COURSE and (step.phase == "reset" or not step.passed):
            self._progress.advance(task)
