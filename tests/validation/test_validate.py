"""The engine against a cluster in which everything goes as told."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshdojo.backends.base import BackendError, Progress, Status
from meshdojo.checks.outcome import Error, Fail, Outcome, Pass
from meshdojo.checks.registry import Check
from meshdojo.checks.runner import Result, Runner
from meshdojo.course.content import content_root
from meshdojo.course.lab import Lab, Need, load_lab
from meshdojo.validation import diagnosis, inventory, setup, shell
from meshdojo.validation import validate as engine
from meshdojo.validation.report import Report, Step

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

    def reset(self) -> None:
        self.log.append("reset")
        self.solved.clear()

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

    async def reset(self, *namespaces: str) -> None:
        self._world.reset()

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

    async def start_state(*_: object) -> None:
        world.log.append("set up")
        world.solved.clear()

    async def nothing(*_: object) -> None: ...

    async def take(_client: object) -> frozenset[Any]:
        return frozenset(world.left_behind if "solve two" in world.log else ())

    async def run(code: str, *_: object) -> shell.Ran:
        return shell.Ran(0, world.run(code))

    async def collect(_client: object, folder: Path, step: Step, _namespaces: object) -> None:
        world.kept[folder] = step.problem

    async def judge(_self: object, ids: Iterable[str]) -> list[Result]:
        return [Result(Check(id, id, False, None), world.judge(id), 0.0) for id in ids]  # type: ignore[arg-type]

    async def remove(backend: FakeBackend, removed: Lab, *_: object) -> None:
        await backend.reset(*removed.namespaces())
        if "no-istio" in removed.front.needs:
            await backend.remove_istio(setup.silent)

    monkeypatch.setattr(setup, "remove", remove)
    monkeypatch.setattr(setup, "start_state", start_state)
    monkeypatch.setattr(setup, "prepare", nothing)
    monkeypatch.setattr(inventory, "take", take)
    monkeypatch.setattr(shell, "run", run)
    monkeypatch.setattr(diagnosis, "collect", collect)
    monkeypatch.setattr(Runner, "run", judge)
    monkeypatch.setattr(engine._Proof, "_settled", nothing)
    monkeypatch.setattr(engine._Proof, "_client", lambda self: NoClient())
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
        *("reset", "set up"),
        *("say hello", "solve one", "look around", "solve two"),
        *("set up", "solve one"),
        *("set up", "solve one", "solve two"),
        *("set up", "solve one", "spoil demo.also"),
        *("set up", "spoil demo.one"),
        *("set up", "solve one", "spoil demo.two"),
        "reset",
    ]
    phases = [step.phase for step in report.steps]
    assert phases[:5] == ["structure", "set-up", "set-up", "must fail", "must fail"]
    assert phases.count("must pass") == 2
    assert phases.count("right solution") == 2
    assert phases.count("wrong solution") == 3
    assert phases[-1] == "reset"


async def test_as_often_as_asked(lab: Lab, world: World) -> None:
    steps: list[Step] = []
    report = await prove(lab, world, passes=2, on_step=steps.append)
    assert world.log.count("say hello") == 2
    assert report.steps == steps


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
    assert world.log == ["reset", "set up", "say hello", "reset"]
    assert {step.phase for step in report.steps} == {"structure", "set-up", "command", "reset"}


async def test_a_lab_that_starts_without_istio_takes_it_away_again(lab: Lab, world: World) -> None:
    needs: tuple[Need, ...] = ("no-istio", "cluster-admin")
    front = lab.front.model_copy(update={"needs": needs})
    report = await prove(dataclasses.replace(lab, front=front, right=(), wrong=()), world)
    assert report.proven
    assert world.log[:3] == ["reset", "remove Istio", "set up"]
    assert world.log[-2:] == ["reset", "remove Istio"]


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
    async def broken(*_: object) -> None:
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


def test_the_canary_lab_is_complete() -> None:
    assert engine.structure_problems(load_lab(content_root() / "labs" / "03-canary")) == []


def test_a_lab_that_proves_too_little_is_named(tmp_path: Path) -> None:
    shutil.copytree(content_root() / "labs" / "03-canary", tmp_path / "labs" / "03-canary")
    shutil.copytree(content_root() / "labs" / "base", tmp_path / "labs" / "base")
    folder = tmp_path / "labs" / "03-canary"
    kept = ("never-retired", "retired-too-early")
    for path in (folder / "wrong").iterdir():
        if path.stem not in kept:
            path.unlink()
    chapter = folder / "lab.md"
    chapter.write_text(chapter.read_text().replace("canary.weights, canary.preview]", "canary.nosuch]"))
    for path in (folder / "right").iterdir():
        if "task: canary" in path.read_text():
            path.unlink()
    unknown, unused, unsolved, without, few = engine.structure_problems(load_lab(folder))
    assert "check 'canary.nosuch' does not exist" in unknown
    assert unused.startswith("no task of 03-canary uses canary.weights")
    assert unsolved == (
        "no other right solution of canary: add one to 03-canary/right/ that differs in structure from the chapter's"
    )
    assert "canary.callers, canary.hidden" in without
    assert few == "found 2 wrong solutions, expected at least 3"
