from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from meshdojo.checks import registry
from meshdojo.checks.outcome import Fail
from meshdojo.course.content import content_root
from meshdojo.course.course import load_course
from meshdojo.errors import UserError
from meshdojo.validation.newlab import CHECKS, new_lab
from meshdojo.validation.structure import structure_problems


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two labs, and a registry of checks of its own."""
    for name in ("base", "03-canary"):
        shutil.copytree(content_root() / "labs" / name, tmp_path / "labs" / name)
    (tmp_path / CHECKS).mkdir(parents=True)
    registry.all_checks()
    monkeypatch.setattr(registry, "_checks", dict(registry._checks))
    return tmp_path


def load_checks(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("new_checks", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_lab_reads_and_names_all_that_is_to_be_written(root: Path) -> None:
    made = new_lab(root, "rate-limits")
    assert [str(path.relative_to(root)) for path in made] == [
        "labs/04-rate-limits/lab.md",
        "labs/04-rate-limits/right/another-way.md",
        "labs/04-rate-limits/wrong/number-one.md",
        "labs/04-rate-limits/wrong/number-three.md",
        "labs/04-rate-limits/wrong/number-two.md",
        "checkers/meshdojo/checks/labs/rate_limits.py",
        "tests/checks/labs/test_rate_limits.py",
    ]
    lab = load_course(root).lab("rate-limits")
    assert (lab.title, lab.front.weight, [task.id for task in lab.tasks]) == ("Rate limits", 40, ["first"])
    load_checks(made[5])
    problems = structure_problems(lab)
    assert all("still to be written" in problem for problem in problems)
    places = [problem.split(": ")[0] for problem in problems]
    todos = [
        f"{path.relative_to(root)}:{number}"
        for path in made[:5]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "TODO" in line
    ]
    assert [place for place in places if place.startswith("labs/")] == todos
    assert any(place.startswith("checkers/meshdojo/checks/labs/rate_limits.py:") for place in places)


def test_once_it_is_written_nothing_is_missing(root: Path) -> None:
    for path in (made := new_lab(root, "rate-limits")):
        path.write_text(path.read_text().replace("TODO", "done:"))
    lab_file = made[0]
    lab_file.write_text(lab_file.read_text().replace("description: done:", "description:").replace("- done:", "-"))
    for path in made[1:5]:
        path.write_text(path.read_text().replace("title: done:", "title:"))
    load_checks(made[5])
    assert structure_problems(load_course(root).lab("rate-limits")) == []


@pytest.mark.anyio
async def test_its_check_runs_and_fails(root: Path) -> None:
    made = new_lab(root, "rate-limits")
    module = load_checks(made[5])

    class Mesh:
        async def list(self, *_: str) -> list[Any]:
            return [{}]

        async def measure(self, request: Any) -> Any:
            from meshdojo.checks.measurement import Measurement

            answer = {"requests": request.requests, "counts": {"original": request.requests}}
            rest = {"statuses": {"200": request.requests}, "errors": {}, "examples": {}, "seconds": 1.0}
            return Measurement.parse(__import__("json").dumps({**answer, **rest}).encode())

    assert isinstance(await module.done(Mesh()), Fail)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_its_number_can_be_chosen(root: Path) -> None:
    assert new_lab(root, "first-steps", 1)[0] == root / "labs" / "01-first-steps" / "lab.md"
    assert [lab.id for lab in load_course(root).labs] == ["first-steps", "canary"]


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("Rate Limits", None, "expected small letters"),
        ("rate--limits", None, "expected small letters"),
        ("canary", None, "there is a lab 'canary' already"),
        ("rate-limits", 3, "number 3: expected one from 0 to 99 that no lab has; used are 03"),
        ("rate-limits", 100, "number 100"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(root: Path, name: str, number: int, words: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(UserError, match=words):
        new_lab(root, name, number)
    assert sorted(root.rglob("*")) == before


def test_files_that_are_there_are_kept(root: Path) -> None:
    (root / CHECKS / "rate_limits.py").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        new_lab(root, "rate-limits")
    assert not (root / "labs" / "04-rate-limits").exists()


def test_an_installed_meshdojo_has_no_source_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkout"):
        new_lab(tmp_path, "rate-limits")
