"""How often a check says something else than it should: each many times, in its passing and in its failing state.

    python -m benchmarks.flakes --runs 40 [LAB …]                      # embedded
    python -m benchmarks.flakes --runs 5 --backend kind [LAB …]

The passing state is the documented solution of the first task that names the check, the failing state the first wrong
solution that must fail it. A figure for each check: runs, unexpected outcomes (their words go to standard error at
once), seconds. Exit code 1 when there was any. Runs in the environment with the name ``flakes``, which is deleted
afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from meshdojo.backends.base import Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.select import open_backend
from meshdojo.checks.outcome import Fail, Pass
from meshdojo.checks.runner import Result, Runner
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab, RightSolution, WrongSolution
from meshdojo.course.markdown import Task
from meshdojo.embedded import lifecycle
from meshdojo.validation.report import Report, Step
from meshdojo.validation.validate import Proof, Stop, words

INSTANCE = "flakes"


@dataclass
class Figure:
    """What came of one check in one state (``passing`` or ``failing``)."""

    check: str
    state: str
    seconds: list[float] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class Flakes(Proof):
    """A proof that stays at each check's passing and failing state for a while."""

    def __init__(self, lab: Lab, backend: Backend, runs: int) -> None:
        super().__init__(lab, backend, Report(lab.id, backend.name), _said, _step)
        self._runs = runs
        self.figures: list[Figure] = []

    async def must_fail(self, task: Task) -> None:
        pass

    async def must_pass(self, task: Task) -> None:
        known = {figure.check for figure in self.figures}
        await self._repeat([check for check in task.checks if check not in known], "passing")

    async def right(self, right: RightSolution) -> None:
        pass

    async def wrong(self, wrong: WrongSolution) -> None:
        if any((figure.check, figure.state) == (wrong.front.fails, "failing") for figure in self.figures):
            return
        await self.attempt(wrong)
        await self._repeat([wrong.front.fails], "failing")

    async def _repeat(self, checks: Iterable[str], state: str) -> None:
        expected = Pass if state == "passing" else Fail
        for check in checks:
            figure, runner = Figure(check, state), Runner(self.client())
            self.figures.append(figure)
            for _ in range(self._runs):
                began = time.perf_counter()
                results: list[Result] = await runner.run([check])
                figure.seconds.append(time.perf_counter() - began)
                if not isinstance(results[0].outcome, expected):
                    figure.unexpected.append(words(results).strip())
                    print(f"{check} in its {state} state: {figure.unexpected[-1]}", file=sys.stderr, flush=True)
            print(_row(figure), flush=True)


def _said(_text: str) -> None: ...


def _step(step: Step) -> None:
    if not step.passed:
        print(f"{step.phase}: {step.name}: {step.problem}", file=sys.stderr, flush=True)


HEADING = "| check | state | runs | unexpected | median, s | slowest, s |\n|---|---|---|---|---|---|"


def _row(figure: Figure) -> str:
    cells = (
        *(figure.check, figure.state, len(figure.seconds), len(figure.unexpected)),
        *(f"{statistics.median(figure.seconds):.2f}", f"{max(figure.seconds):.2f}"),
    )
    return "".join(f"| {cell} " for cell in cells) + "|"


async def measure(backend: Backend, labs: Iterable[Lab], runs: int) -> bool:
    """Print the figures of all checks of the labs; whether each outcome was the expected one and nothing broke."""
    await backend.start(_said)
    sound, figures = True, []
    print(HEADING, flush=True)
    for lab in labs:
        flakes = Flakes(lab, backend, runs)
        try:
            await flakes.once()
        except Stop:
            sound = False
        finally:
            await flakes.close()
        figures += flakes.figures
    total = sum(len(figure.seconds) for figure in figures)
    unexpected = sum(len(figure.unexpected) for figure in figures)
    print(
        f"\n{len({figure.check for figure in figures})} checks, {total} runs on {backend.name}, {unexpected} unexpected"
    )
    return sound and not unexpected


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labs", nargs="*", help="none means all")
    parser.add_argument("--runs", type=int, default=40, help="of each check in each state")
    parser.add_argument("--backend", default="embedded")
    options = parser.parse_args()
    course = load_course()
    labs = [course.lab(name) for name in options.labs] or [lab for lab in course.labs if lab.tasks]
    backend = open_backend(options.backend, INSTANCE)
    try:
        sound = asyncio.run(measure(backend, labs, options.runs))
    finally:
        asyncio.run(backend.stop())
        if isinstance(backend, EmbeddedBackend):
            lifecycle.delete(backend.instance)
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
