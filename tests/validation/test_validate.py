"""The engine against a cluster in which everything goes as told."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshdojo.backends.base import BackendError, Progress, Status
from meshdojo.checks.outcome import Error, Fail, Outcome, Pass
from meshdojo.checks.registry import Check
from meshdojo.checks.runner import Result, Runner
from meshdojo.course.lab import Lab, Need, load_lab
from meshdojo.validation import diagnosis, inventory, setup, shell
from meshdojo.validation import validate as engine
from meshdojo.validation.report import Report, Step
from meshdojo.validation.restoring import CannotRestore
from meshdojo.validation.state import Key, State

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


LAB = """---
title: Demo
description: A lab for tests.
weight: 10
time: 5
difficulty: beginner
objectives: [x]
needs: []
---

# Demo

```bash
say hello
```

```output
hello
```

## Task: One

<!-- task: one
checks: [demo.one]
-->

{hints}

```bash
look around
```

## Task: Two

<!-- task: two
checks: [demo.two, demo.also]
-->

{hints}

## Clean up

```bash no-run: nothing to clean
say never
```
"""
HINTS = "".join(
    f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>\n\n"
    for summary, text in [
        ("Hint 1: a nudge", "x"),
        ("Hint 2: a direction", "x"),
        ("Hint 3: the answer", "```bash\nsolve NAME\n```"),
        ("Why this works", "x"),
    ]
)
RIGHT = "---\ntitle: x\ntask: {task}\n---\n\n```bash\nsolve {task}\n```\n"
WRONG = "---\ntitle: x\ntask: {task}\nfails: {fails}\n---\n\n```bash\nspoil {fails}\n```\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    folder = tmp_path / "labs" / "10-demo"
    (folder / "right").mkdir(parents=True)
    (folder / "wrong").mkdir()
    (folder / "manifests").mkdir()
    (folder / "manifests" / "demo.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n")
    text = LAB.replace("{hints}", HINTS.replace("NAME", "one"), 1).replace("{hints}", HINTS.replace("NAME", "two"), 1)
    (folder / "lab.md").write_text(text)
    for task in ("one", "two"):
        (folder / "right" / f"{task}.md").write_text(RIGHT.format(task=task))
    for task, fails in (("one", "demo.one"), ("two", "demo.two"), ("two", "demo.also")):
        (folder / "wrong" / f"{fails.partition('.')[2]}.md").write_text(WRONG.format(task=task, fails=fails))
    return load_lab(folder)


class World:
    """A cluster in words: what was solved and spoiled since the last reset, and a list of all that was done."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.solved: set[str] = set()
        self.left_behind: set[tuple[str, str, str]] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.output = "hello\n"
        self.kept: dict[Path, str] = {}
        self.cannot_return = self.reset_fails = False

    def state(self) -> State:
        objects = {Key("solved", "", name): {"name": name} for name in self.solved}
        return State(objects, (), frozenset(), {}, "istiod")

    def run(self, code: str) -> str:
        self.log.append(code.strip())
        verb, name = code.split()
        if verb == "solve":
            self.solved |= {"demo.one"} if name == "one" else {"demo.two", "demo.also"}
        elif verb == "spoil":
            task = {"demo.one"} if name == "demo.one" else {"demo.two", "demo.also"}
            self.solved = (self.solved | task) - {name}
        return self.output if verb == "say" else ""

    def judge(self, check: str) -> Outcome:
        if check in self.outcomes:
            return self.outcomes[check]
        return Pass("fine") if check in self.solved else Fail("No.", "nothing", "something", "Do it.")


class FakeBackend:
    name = "fake"
    owned = True
    confirmation = "fake"
    kubeconfig = Path("/nowhere")

    def __init__(self, world: World) -> None:
        self._world = world

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        return False

    async def stop(self) -> None: ...

    async def status(self) -> Status:
        return Status(running=True, ready=True)

    async def ensure_istio(self, progress: Progress, profile: str = "demo") -> None: ...

    async def remove_istio(self, progress: Progress) -> None:
        self._world.log.append("remove Istio")

    async def ensure_images(self, progress: Progress) -> None: ...

    async def reset(self, *namespaces: str) -> None: ...

    async def endpoint(self, gateway: str = "") -> str:
        return "127.0.0.1:1"

    async def environment(self) -> Mapping[str, str]:
        return {"PATH": "/bin"}


class NoClient:
    async def __aenter__(self) -> NoClient:
        return self

    async def __aexit__(self, *_: object) -> None: ...


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    async def start_state(*_: object, client: object) -> State:
        world.log.append("set up")
        world.solved.clear()
        return world.state()

    async def present_state(*_: object) -> State:
        return world.state()

    async def return_to(_backend: object, _lab: object, state: State, *_: object) -> State:
        if world.cannot_return:
            raise CannotRestore("the pod is gone")
        world.solved = {key.name for key in state.objects if key.resource == "solved"}
        world.log.append(f"back to {sorted(world.solved)}")
        return state

    async def reset_lab(*_: object, client: object) -> State:
        world.log.append("reset")
        world.solved = {"demo.also", "demo.two"} if world.reset_fails else set()
        return world.state()

    async def nothing(*_: object) -> None: ...

    async def take(_client: object, *, owned: bool) -> frozenset[Any]:
        return frozenset(world.left_behind if "reset" in world.log else ())

    async def run(code: str, *_: object) -> shell.Ran:
        return shell.Ran(0, world.run(code))

    async def collect(_client: object, folder: Path, report: Report, _namespaces: object) -> None:
        world.kept[folder] = report.steps[-1].problem

    async def proxy_status(environment: Mapping[str, str], folder: Path) -> None:
        world.log.append(f"proxy-status of {environment['PATH']}")

    async def judge(_self: object, ids: Iterable[str]) -> list[Result]:
        return [Result(Check(id, id, False, None), world.judge(id), 0.0) for id in ids]  # type: ignore[arg-type]

    monkeypatch.setattr(setup, "present_state", present_state)
    monkeypatch.setattr(setup, "return_to", return_to)
    monkeypatch.setattr(setup, "reset_lab", reset_lab)
    monkeypatch.setattr(setup, "start_state", start_state)
    monkeypatch.setattr(inventory, "take", take)
    monkeypatch.setattr(shell, "run", run)
    monkeypatch.setattr(diagnosis, "collect", collect)
    monkeypatch.setattr(diagnosis, "proxy_status", proxy_status)
    monkeypatch.setattr(Runner, "run", judge)
    monkeypatch.setattr(engine.Proof, "_settled", nothing)
    monkeypatch.setattr(setup, "pods_gone", nothing)
    monkeypatch.setattr(engine.Proof, "client", lambda self: NoClient())
    monkeypatch.setattr(Runner, "__init__", lambda self, client: None)
    monkeypatch.setattr(engine, "structure_problems", lambda lab: [])
    return world


async def prove(lab: Lab, world: World, **options: Any) -> Report:
    return await engine.validate(lab, FakeBackend(world), **options)


def only_failure(report: Report) -> Step:
    [step] = report.failures
    assert step is report.steps[-1]
    return step


async def test_a_sound_lab_is_proven_in_this_order(lab: Lab, world: World) -> None:
    report = await prove(lab, world)
    assert report.proven
    assert world.log == [
        "set up",
        *("say hello", "solve one", "look around", "solve two"),
        *("back to ['demo.one']", "solve two"),
        *("back to ['demo.one']", "spoil demo.also"),
        *("back to ['demo.one']", "spoil demo.two"),
        *("set up", "solve one"),
        *("set up", "spoil demo.one"),
        "reset",
    ]
    phases = [step.phase for step in report.steps]
    assert phases[:5] == ["structure", "set-up", "set-up", "must fail", "must fail"]
    assert [step.name for step in report.steps if step.phase == "set-up"][2:4] == [
        "where one is solved",
        "back to where one is solved",
    ]
    assert phases.count("must pass") == 2
    assert phases.count("right solution") == 2
    assert phases.count("wrong solution") == 3
    assert phases[-1] == "reset"


async def test_steps_are_told_as_they_are_done_and_added_to_the_report(lab: Lab, world: World) -> None:
    steps: list[Step] = []
    report = Report("demo", "fake", number=2)
    await prove(lab, world, report=report, on_step=steps.append)
    assert report.steps == steps
    assert {step.number for step in steps} == {2}


async def test_where_it_cannot_be_returned_to_the_commands_run_again(lab: Lab, world: World) -> None:
    world.cannot_return = True
    report = await prove(lab, world)
    assert report.proven
    assert world.log[5:] == [
        *("set up", "solve one", "solve two"),
        *("set up", "solve one", "spoil demo.also"),
        *("set up", "solve one", "spoil demo.two"),
        *("set up", "solve one"),
        *("set up", "spoil demo.one"),
        "reset",
    ]


async def test_files_of_the_chapter_are_there_where_its_solution_ended(
    lab: Lab, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def run(code: str, _environment: object, folder: Path, _seconds: float) -> shell.Ran:
        seen.append((code.strip(), sorted(os.listdir(folder))))
        (folder / code.split()[1]).touch()
        return shell.Ran(0, world.run(code))

    monkeypatch.setattr(shell, "run", run)
    assert (await prove(lab, world)).proven
    # "around" came after the solution of one, and what a solution made is not there for the next.
    assert dict(seen)["spoil demo.two"] == ["hello", "one"]
    assert dict(seen)["spoil demo.one"] == []


async def test_files_are_there_too_where_the_commands_run_again(
    lab: Lab, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command of a later task may compare with what an earlier section wrote."""
    seen: dict[str, list[str]] = {}

    async def run(code: str, _environment: object, folder: Path, _seconds: float) -> shell.Ran:
        seen.setdefault(code.strip(), []).append(" ".join(sorted(os.listdir(folder))))
        (folder / code.split()[1]).touch()
        return shell.Ran(0, world.run(code))

    monkeypatch.setattr(shell, "run", run)
    world.cannot_return = True
    assert (await prove(lab, world)).proven
    # "hello" is from the chapter's beginning. For "solve one" after the start, there is nothing yet.
    assert seen["solve one"] == ["hello", *["hello one"] * 3, ""]


async def test_a_reset_that_leaves_something_is_found(lab: Lab, world: World) -> None:
    world.reset_fails = True
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.problem) == ("reset", "added: solved demo.also\nadded: solved demo.two")


async def test_a_task_that_passes_by_itself_proves_nothing(lab: Lab, world: World) -> None:
    world.outcomes["demo.one"] = Pass("always")
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.name) == ("must fail", "one")
    assert "passes before anything was done" in step.problem


async def test_an_error_is_not_taken_for_a_fail(lab: Lab, world: World) -> None:
    world.outcomes["demo.one"] = Error("the probe is gone", "reset")
    step = only_failure(await prove(lab, world))
    assert step.phase == "must fail"
    assert "the probe is gone" in step.problem


async def test_documented_commands_must_solve_the_task(lab: Lab, world: World) -> None:
    world.outcomes["demo.also"] = Fail("Never.", "a", "b", "c")
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.name) == ("must pass", "two")
    assert "demo.also: fail: Never. Saw a; expected b." in step.problem


async def test_an_output_that_is_not_the_documented_one_ends_the_proof(lab: Lab, world: World) -> None:
    world.output = "good bye\n"
    step = only_failure(await prove(lab, world))
    assert step.phase == "command"
    assert "+good bye" in step.problem
    assert "solve one" not in world.log


async def test_another_right_solution_must_pass(lab: Lab, world: World) -> None:
    original, solved = world.run, 0

    def run(code: str) -> str:
        nonlocal solved
        solved += code.split() == ["solve", "one"]
        # The first time is the chapter's.
        return original("look around" if code.split() == ["solve", "one"] and solved > 1 else code)

    world.run = run  # type: ignore[method-assign]
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.name) == ("right solution", "one")
    assert "task 'one' is solved and does not pass:\n  demo.one: fail: No." in step.problem


async def test_a_chapter_without_a_task_is_proven_by_its_commands(lab: Lab, world: World) -> None:
    sections = tuple(section for section in lab.sections if not section.task)
    report = await prove(dataclasses.replace(lab, sections=sections, right=(), wrong=()), world)
    assert report.proven
    assert world.log == ["set up", "say hello", "reset"]
    assert {step.phase for step in report.steps} == {"structure", "set-up", "command", "reset"}


async def test_a_lab_that_installs_istio_is_solved_again_for_each_solution(lab: Lab, world: World) -> None:
    needs: tuple[Need, ...] = ("no-istio", "cluster-admin")
    front = lab.front.model_copy(update={"needs": needs})
    report = await prove(dataclasses.replace(lab, front=front), world)
    assert report.proven
    assert not any(line.startswith("back to") for line in world.log)


async def test_a_wrong_solution_must_fail_exactly_its_check(lab: Lab, world: World) -> None:
    original = world.run

    def run(code: str) -> str:
        printed = original(code)
        if code.split() == ["spoil", "demo.two"]:
            world.solved.discard("demo.also")
        return printed

    world.run = run  # type: ignore[method-assign]
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.name) == ("wrong solution", "two")
    assert "expected exactly demo.two to fail, found: demo.two, demo.also" in step.problem


async def test_a_wrong_solution_that_passes_is_found(lab: Lab, world: World) -> None:
    original = world.run

    def run(code: str) -> str:
        printed = original(code)
        world.solved |= {"demo.one"} if code.split() == ["spoil", "demo.one"] else set()
        return printed

    world.run = run  # type: ignore[method-assign]
    assert "expected exactly demo.one to fail, found: none" in only_failure(await prove(lab, world)).problem


async def test_what_is_left_behind_is_found(lab: Lab, world: World) -> None:
    world.left_behind = {("namespaces", "", "forgotten")}
    step = only_failure(await prove(lab, world))
    assert (step.phase, step.problem) == ("reset", "left behind: namespaces forgotten")


async def test_a_backend_that_gives_up_is_a_step_that_failed(
    lab: Lab, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, client: object) -> None:
        raise BackendError("docker is gone")

    monkeypatch.setattr(setup, "start_state", broken)
    step = only_failure(await prove(lab, world))
    assert step.phase == "set-up"
    assert "docker is gone" in step.problem


async def test_what_is_needed_to_understand_a_failure_is_kept(lab: Lab, world: World, tmp_path: Path) -> None:
    world.output = "good bye\n"
    report = await prove(lab, world, folder=tmp_path / "artifacts")
    assert report.folder == tmp_path / "artifacts" / "demo-fake"
    assert "+good bye" in world.kept[report.folder]
    assert world.log[-1] == "proxy-status of /bin"
