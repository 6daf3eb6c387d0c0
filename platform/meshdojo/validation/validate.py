"""The proof of one lab on one backend.

    set-up -> every task fails -> the documented commands, in order -> after each task's own, it passes
           -> for each other right solution: set-up, the tasks before it solved as documented (without looking around),
              its own commands: every check of its task passes
           -> for each wrong solution, the same way: exactly the check that it names fails
           -> reset leaves nothing

A step that does not hold ends the lab: what comes after it would prove nothing. An `Error` outcome is never taken for
the Fail that a step expects.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from meshdojo.backends.base import Backend, BackendError, Progress
from meshdojo.checks.convergence import Convergence
from meshdojo.checks.outcome import CannotJudge, Error, Fail, Pass
from meshdojo.checks.registry import UnknownCheck, all_checks, find
from meshdojo.checks.runner import Result, Runner
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.errors import CourseError
from meshdojo.course.fences import Fence
from meshdojo.course.lab import Lab, RightSolution, Solution, WrongSolution
from meshdojo.course.markdown import Task
from meshdojo.validation import diagnosis, inventory, setup, shell
from meshdojo.validation.report import Phase, Report, Step

WRONG_SOLUTIONS = 3

OnStep = Callable[[Step], None]


class _Stop(Exception):
    """A step did not hold."""


async def validate(
    lab: Lab,
    backend: Backend,
    *,
    passes: int = 1,
    folder: Path | None = None,
    progress: Progress = setup.silent,
    on_step: OnStep = lambda step: None,
) -> Report:
    """Prove `lab` on a started backend, `passes` times in a row.

    `on_step` gets each step as it is done. When one does not hold, `folder` (if given) gets what is needed to
    understand it, in a subfolder named after lab and backend. Raises nothing for what is wrong with lab or cluster.
    """
    proof = _Proof(lab, backend, Report(lab.id, backend.name), progress, on_step)
    try:
        await proof.structure()
        for _ in range(passes):
            await proof.once()
    except _Stop:
        if folder is not None:
            await proof.diagnose(folder / f"{lab.id}-{backend.name}")
    return proof.report


class _Proof:
    def __init__(self, lab: Lab, backend: Backend, report: Report, progress: Progress, on_step: OnStep) -> None:
        self.lab = lab
        self.backend = backend
        self.report = report
        self._progress = progress
        self._on_step = on_step
        self._variables: Mapping[str, str] = {}

    async def structure(self) -> None:
        """What can be seen without a cluster."""
        async with self._step("structure", "checks and wrong solutions") as problems:
            problems += structure_problems(self.lab)

    async def once(self) -> None:
        async with self._step("set-up", "what the lab needs"):
            await setup.prepare(self.backend, self.lab, self._progress)
            await setup.remove(self.backend, self.lab, self._progress)
        async with self._client() as client:
            before = await inventory.take(client)
        await self._set_up()
        for task in self.lab.tasks:
            await self._must_fail(task)
        await self._documented()
        for right in self.lab.right:
            await self._right(right)
        for wrong in self.lab.wrong:
            await self._wrong(wrong)
        await self._reset(before)

    async def diagnose(self, folder: Path) -> None:
        self.report.folder = folder
        self._progress(f"collecting what is needed to understand the failure in {folder}")
        async with self._client() as client:
            await diagnosis.collect(client, folder, self.report.steps[-1], self.lab.namespaces())

    async def _set_up(self) -> None:
        async with self._step("set-up", "start state"):
            await setup.start_state(self.backend, self.lab, self._progress)

    async def _must_fail(self, task: Task) -> None:
        async with self._step("must fail", task.id) as problems:
            results = await self._judge(task)
            problems += _errors(results)
            if not problems and all(result.passed for result in results):
                problems.append(f"task {task.id!r} passes before anything was done:\n{words(results)}")

    async def _must_pass(self, task: Task) -> None:
        async with self._step("must pass", task.id) as problems:
            results = await self._judge(task)
            if not all(result.passed for result in results):
                problems.append(f"task {task.id!r} does not pass after its documented commands:\n{words(results)}")

    async def _documented(self) -> None:
        with tempfile.TemporaryDirectory(prefix="meshdojo-validate-") as folder:
            for section in self.lab.sections:
                for fence in section.fences:
                    await self._command(fence, Path(folder), settled=True)
                if section.task:
                    await self._must_pass(section.task)

    async def _command(self, fence: Fence, folder: Path, *, settled: bool = False) -> None:
        if fence.no_run:
            return
        self._progress(fence.code.splitlines()[0])
        async with self._step("command", f"{fence.file.name}:{fence.line}") as problems:
            if settled:
                await self._settled()
            ran = await shell.run(fence.code, await self._environment(), folder, fence.timeout)
            if problem := shell.judge(fence, ran):
                problems.append(problem)

    async def _environment(self) -> Mapping[str, str]:
        """The lab shell's, asked for again as long as there is no gateway: a lab may be about to install one."""
        if "GATEWAY_URL" not in self._variables:
            self._variables = await self.backend.environment()
        return self._variables

    async def _settled(self) -> None:
        """A person takes longer to read on than a mesh takes to settle; here it has to be waited for."""
        async with self._client() as client:
            with suppress(CannotJudge):  # no Istio, or a proxy that refuses: the command will show it
                await Convergence(client).wait()

    async def _try(self, solution: Solution) -> None:
        """Do the task in another way than the chapter."""
        await self._set_up()
        with tempfile.TemporaryDirectory(prefix="meshdojo-validate-") as folder:
            for fence in (*solutions_before(self.lab, solution), *solution.fences):
                await self._command(fence, Path(folder))

    async def _right(self, right: RightSolution) -> None:
        await self._try(right)
        async with self._step("right solution", right.name) as problems:
            results = await self._judge(self.lab.task(right.front.task))
            if not all(result.passed for result in results):
                problems.append(f"task {right.front.task!r} is solved and does not pass:\n{words(results)}")

    async def _wrong(self, wrong: WrongSolution) -> None:
        await self._try(wrong)
        async with self._step("wrong solution", wrong.name) as problems:
            results = await self._judge(self.lab.task(wrong.front.task))
            problems += _errors(results)
            failing = [result.check.id for result in results if result.failed]
            if not problems and failing != [wrong.front.fails]:
                found = f"expected exactly {wrong.front.fails} to fail, found: {', '.join(failing) or 'none'}"
                problems.append(f"{found}\n{words(results)}")

    async def _reset(self, before: frozenset[inventory.Key]) -> None:
        async with self._step("reset", "nothing is left") as problems:
            await setup.remove(self.backend, self.lab, self._progress)
            async with self._client() as client:
                left = await inventory.take(client) - before
            if left:
                problems.append(f"left behind: {inventory.words(left)}")

    async def _judge(self, task: Task) -> list[Result]:
        async with self._client() as client:
            return await Runner(client).run(task.checks)

    def _client(self) -> HTTPClient:
        return HTTPClient.from_kubeconfig(self.backend.kubeconfig)

    @asynccontextmanager
    async def _step(self, phase: Phase, name: str) -> AsyncIterator[list[str]]:
        """Times a step; it holds unless something is put into the list, or backend or cluster give up."""
        problems: list[str] = []
        start = time.monotonic()
        try:
            yield problems
        except (BackendError, ClusterError, CourseError) as error:
            problems.append(f"{type(error).__name__}: {error}")
        step = Step(phase, name, time.monotonic() - start, "\n".join(problems))
        self.report.steps.append(step)
        self._on_step(step)
        if problems:
            raise _Stop


def structure_problems(lab: Lab) -> list[str]:
    """What is missing from a lab: checks that do not exist or that nobody uses, right and wrong solutions."""
    problems = []
    try:
        find(check for task in lab.tasks for check in task.checks)
    except UnknownCheck as error:
        problems.append(str(error))
    used = {check for task in lab.tasks for check in task.checks}
    unused = [id for id, check in all_checks().items() if check.lab == lab.id and id not in used]
    if unused:
        problems.append(f"no task of {lab.folder.name} uses {', '.join(unused)}: name it in a task, or delete it")
    if not lab.tasks:
        return problems
    unsolved = [task.id for task in lab.tasks if task.id not in {right.front.task for right in lab.right}]
    if unsolved:
        remedy = f"add one to {lab.folder.name}/right/ that differs in structure from the chapter's"
        problems.append(f"no other right solution of {', '.join(unsolved)}: {remedy}")
    without = sorted(used - {wrong.front.fails for wrong in lab.wrong})
    if without:
        remedy = f"add one to {lab.folder.name}/wrong/ that fails it"
        problems.append(f"no wrong solution proves that {', '.join(without)} can fail: {remedy}")
    if len(lab.wrong) < WRONG_SOLUTIONS:
        problems.append(f"found {len(lab.wrong)} wrong solutions, expected at least {WRONG_SOLUTIONS}")
    return problems


def solutions_before(lab: Lab, solution: Solution) -> Iterator[Fence]:
    """The commands that solve the tasks on which another solution builds."""
    front = solution.front
    if front.after == "start":
        return
    for section in lab.sections:
        if section.task is None:
            continue
        if not front.after and section.task.id == front.task:
            return
        yield from (fence for fence in section.fences if fence.line < section.task.solved_at)
        if section.task.id == front.after:
            return


def words(results: list[Result]) -> str:
    """The outcomes, for people."""
    return "\n".join(f"  {result.check.id}: {_outcome(result)}" for result in results)


def _outcome(result: Result) -> str:
    match result.outcome:
        case Pass(saw):
            return f"pass: {saw}"
        case Fail(reason, saw, expected, _):
            return f"fail: {reason} Saw {saw}; expected {expected}."
        case Error(reason, remedy):
            return f"error: {reason}. {remedy}"


def _errors(results: list[Result]) -> list[str]:
    """An error is no fail: the step then proves nothing."""
    broken = [result for result in results if isinstance(result.outcome, Error)]
    return [f"not judged:\n{words(broken)}"] if broken else []
