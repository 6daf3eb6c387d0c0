"""The proof of one lab on one backend.

    start state -> every task fails
                -> the documented commands, in order -> after each task's own, it passes
                -> each other right solution of a task: every check of the task passes
                -> each wrong solution: exactly the check that it names fails
                -> reset: all is as at the start

Another solution begins where the documented solution of the tasks before it ended. The cluster is brought back to that
point by what differs from it (`restoring`), which takes a moment where all commands over again would take minutes; what
is found there is the same, object by object. Where that is not possible (a lab that installs Istio, a pod that nothing
would make again), the commands are run again.

A step that does not hold ends the lab: what comes after it would prove nothing. An `Error` outcome is never taken for
the Fail that a step expects.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from meshdojo.backends.base import Backend, BackendError, Progress
from meshdojo.checks.convergence import PATIENT_SECONDS, Convergence
from meshdojo.checks.outcome import CannotJudge, Error, Fail, Pass
from meshdojo.checks.runner import Result, Runner
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.errors import CourseError
from meshdojo.course.fences import Fence
from meshdojo.course.lab import Lab, RightSolution, Solution, WrongSolution
from meshdojo.course.markdown import Task
from meshdojo.validation import diagnosis, inventory, setup, shell
from meshdojo.validation.difference import differences
from meshdojo.validation.report import Phase, Report, Step
from meshdojo.validation.restoring import CannotRestore
from meshdojo.validation.state import PODS, Pod, State
from meshdojo.validation.structure import structure_problems

OnStep = Callable[[Step], None]
START = "start"


class Stop(Exception):
    """A step did not hold."""


async def validate(
    lab: Lab,
    backend: Backend,
    *,
    report: Report | None = None,
    folder: Path | None = None,
    progress: Progress = setup.silent,
    on_step: OnStep = lambda step: None,
) -> Report:
    """Prove `lab` once on a started backend, whatever is on it; the steps are added to `report` (None: a new one).

    `on_step` gets each step as it is done. When one does not hold, `folder` (if given) gets what is needed to
    understand it, in a subfolder named after lab and backend. Raises nothing for what is wrong with lab or cluster.
    """
    proof = Proof(lab, backend, report or Report(lab.id, backend.name), progress, on_step)
    try:
        await proof.structure()
        await proof.once()
    except Stop:
        if folder is not None:
            await proof.diagnose(folder / f"{lab.id}-{backend.name}")
    finally:
        await proof.close()
    return proof.report


@dataclass
class _Checkpoint:
    """Where the documented solution of a task ended: the cluster, and the folder in which the commands ran."""

    state: State
    folder: Path


class Proof:
    """One proof of one lab. `structure`, then `once`, then `close`; each raises Stop at the first step that fails."""

    def __init__(self, lab: Lab, backend: Backend, report: Report, progress: Progress, on_step: OnStep) -> None:
        self.lab = lab
        self.backend = backend
        self.report = report
        self._progress = progress
        self._on_step = on_step
        self._variables: Mapping[str, str] = {}
        self._folders = Path(tempfile.mkdtemp(prefix="meshdojo-validate-"))
        self._checkpoints: dict[str, _Checkpoint] = {}
        self._clean: dict[str, Pod] = {}
        self._start: State | None = None
        self._client: HTTPClient | None = None

    async def close(self) -> None:
        """Delete the folders in which the commands ran, and let go of the cluster."""
        shutil.rmtree(self._folders, ignore_errors=True)
        if self._client is not None:
            await self._client.close()

    async def structure(self) -> None:
        """What can be seen without a cluster."""
        async with self.step("structure", "checks, solutions, manifests") as problems:
            problems += structure_problems(self.lab)

    async def once(self) -> None:
        """The whole proof: set-up, failing, the documented commands, passing, wrong and right solutions, reset."""
        await self._set_up()
        async with self.step("set-up", "what is there at the start"):
            before = await inventory.take(self.client(), owned=self.backend.owned)
        for task in self.lab.tasks:
            await self.must_fail(task)
        await self._documented()
        # The last tasks first: the way back from where the documented commands ended is then the shortest.
        order = [START, *(task.id for task in self.lab.tasks)]
        for solution in sorted(self.lab.solutions, key=lambda one: -order.index(begins_after(self.lab, one))):
            if isinstance(solution, WrongSolution):
                await self.wrong(solution)
            else:
                await self.right(solution)
        await self._reset(before)

    async def diagnose(self, folder: Path) -> None:
        """Keep what is needed to understand the last step."""
        self.report.folder = folder
        self._progress(f"collecting what is needed to understand the failure in {folder}")
        await diagnosis.collect(self.client(), folder, self.report, self.lab.namespaces())
        with suppress(BackendError, ClusterError):
            await diagnosis.proxy_status(await self._environment(), folder)

    async def _set_up(self) -> None:
        async with self.step("set-up", "start state"):
            state = await setup.start_state(self.backend, self.lab, self._progress, client=self.client())
            self._start = self._start or state
            self._clean |= {pod.uid: pod for pod in state.pods}

    async def must_fail(self, task: Task) -> None:
        """Before anything was done."""
        async with self.step("must fail", task.id) as problems:
            results = await self.judge(task)
            problems += _errors(results)
            if not problems and all(result.passed for result in results):
                problems.append(f"task {task.id!r} passes before anything was done:\n{words(results)}")

    async def must_pass(self, task: Task) -> None:
        """After the documented commands."""
        async with self.step("must pass", task.id) as problems:
            results = await self.judge(task)
            if not all(result.passed for result in results):
                problems.append(f"task {task.id!r} does not pass after its documented commands:\n{words(results)}")

    async def _documented(self) -> None:
        folder = self._new_folder()
        for section in self.lab.sections:
            kept = section.task is None
            for fence in section.fences:
                if section.task and not kept and fence.line > section.task.solved_at:
                    await self._keep(section.task, folder)
                    kept = True
                await self._command(fence, folder, settled=True)
            if section.task:
                if not kept:
                    await self._keep(section.task, folder)
                await self.must_pass(section.task)

    async def _keep(self, task: Task, folder: Path) -> None:
        """Remember this point, if a solution begins here."""
        if not any(begins_after(self.lab, one) == task.id for one in self.lab.solutions):
            return
        async with self.step("set-up", f"where {task.id} is solved"):
            copy = self._folders / f"after-{task.id}"
            shutil.copytree(folder, copy)
            self._checkpoints[task.id] = _Checkpoint(await setup.present_state(self.backend, self.client()), copy)

    async def _begin(self, solution: Solution) -> Path:
        """Bring the cluster to where a solution begins; returns the folder for its commands."""
        after = begins_after(self.lab, solution)
        checkpoint = self._checkpoints.get(after)
        folder = self._new_folder()
        if checkpoint is not None:
            # What was written outside of any task, such as a file to compare with, is there in any case.
            shutil.copytree(checkpoint.folder, folder, dirs_exist_ok=True)
            # Istio itself is not part of what can be brought back.
            if "no-istio" not in self.lab.front.needs and await self._back(checkpoint, after):
                return folder
        await self._set_up()
        for fence in solutions_before(self.lab, solution):
            await self._command(fence, folder, settled=True)
            # What a chapter shows between two tasks, and with it the time that this takes, is left out here.
            await self._gone()
        return folder

    async def _back(self, checkpoint: _Checkpoint, name: str) -> bool:
        possible = True
        async with self.step("set-up", f"back to where {name} is solved"):
            try:
                checkpoint.state = await setup.return_to(
                    self.backend, self.lab, checkpoint.state, self._clean.values(), self._progress, self.client()
                )
                self._clean |= {pod.uid: pod for pod in checkpoint.state.pods}
            except CannotRestore as error:
                self._progress(f"all over again: {error}")
                possible = False
        return possible

    async def _command(self, fence: Fence, folder: Path, *, settled: bool = False) -> None:
        if fence.no_run:
            return
        self._progress(fence.code.splitlines()[0])
        async with self.step("command", f"{fence.file.name}:{fence.line}") as problems:
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
        with suppress(CannotJudge):  # no Istio, or a proxy that refuses: the command will show it
            await Convergence(self.client()).wait(PATIENT_SECONDS)

    async def _gone(self) -> None:
        """Wait until no pod of the lab is on its way out: a command might find it before the one that came for it."""
        async with self.step("set-up", "no pod is on its way out"):
            await setup.pods_gone(self.client(), self.lab.namespaces())

    async def attempt(self, solution: Solution) -> None:
        """Do a task in another way than the chapter."""
        folder = await self._begin(solution)
        for fence in solution.fences:
            await self._command(fence, folder)

    async def right(self, right: RightSolution) -> None:
        """Another right solution must pass."""
        await self.attempt(right)
        async with self.step("right solution", right.name) as problems:
            results = await self.judge(self.lab.task(right.front.task))
            if not all(result.passed for result in results):
                problems.append(f"task {right.front.task!r} is solved and does not pass:\n{words(results)}")

    async def wrong(self, wrong: WrongSolution) -> None:
        """A wrong solution must fail exactly the check that it names."""
        await self.attempt(wrong)
        async with self.step("wrong solution", wrong.name) as problems:
            results = await self.judge(self.lab.task(wrong.front.task))
            problems += _errors(results)
            failing = [result.check.id for result in results if result.failed]
            if not problems and failing != [wrong.front.fails]:
                found = f"expected exactly {wrong.front.fails} to fail, found: {', '.join(failing) or 'none'}"
                problems.append(f"{found}\n{words(results)}")

    async def _reset(self, before: frozenset[inventory.Key]) -> None:
        async with self.step("reset", "all is as at the start") as problems:
            reached = await setup.reset_lab(self.backend, self.lab, self._progress, client=self.client())
            if self._start is not None:
                problems += unlike(self._start, reached)
            now = await inventory.take(self.client(), owned=self.backend.owned)
            if now - before:
                problems.append(f"left behind: {inventory.words(now - before)}")
            if before - now:
                problems.append(f"gone: {inventory.words(before - now)}")

    async def judge(self, task: Task) -> list[Result]:
        """The outcomes of a task's checks, now."""
        return await Runner(self.client()).run(task.checks)

    def client(self) -> HTTPClient:
        """The client of the cluster, one for the whole proof: it knows already what the cluster serves."""
        self._client = self._client or HTTPClient.from_kubeconfig(self.backend.kubeconfig)
        return self._client

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folders))

    @asynccontextmanager
    async def step(self, phase: Phase, name: str) -> AsyncIterator[list[str]]:
        """Times a step; it holds unless something is put into the list, or backend or cluster give up."""
        problems: list[str] = []
        start = time.monotonic()
        try:
            yield problems
        except (BackendError, ClusterError, CourseError) as error:
            problems.append(f"{type(error).__name__}: {error}")
        step = Step(phase, name, time.monotonic() - start, "\n".join(problems), self.report.number)
        self.report.steps.append(step)
        self._on_step(step)
        if problems:
            raise Stop


def unlike(start: State, now: State) -> list[str]:
    """What a reset did not bring back; pods may be new ones, as long as they are made of the same containers."""
    problems = [str(one) for one in differences(start, now) if one.key.resource != PODS]
    before, after = (
        Counter((pod.controller or pod.name, pod.containers) for pod in state.pods) for state in (start, now)
    )
    problems += [f"missing: a pod of {name} ({', '.join(parts)})" for name, parts in (before - after).elements()]
    problems += [f"added: a pod of {name} ({', '.join(parts)})" for name, parts in (after - before).elements()]
    return problems


def begins_after(lab: Lab, solution: Solution) -> str:
    """The task whose documented solution is where this one begins; 'start' for none."""
    if solution.front.after:
        return solution.front.after
    names = [START, *(task.id for task in lab.tasks)]
    return names[names.index(solution.front.task) - 1]


def solutions_before(lab: Lab, solution: Solution) -> Iterator[Fence]:
    """The commands that solve the tasks on which another solution builds."""
    after = begins_after(lab, solution)
    if after == START:
        return
    for section in lab.sections:
        if section.task is None:
            continue
        yield from (fence for fence in section.fences if fence.line < section.task.solved_at)
        if section.task.id == after:
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
