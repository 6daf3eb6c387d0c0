"""Labs that prove too little, or are not written yet: file, line, what was found, what is expected."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from meshdojo.course.content import content_root
from meshdojo.course.course import load_course
from meshdojo.course.lab import load_lab
from meshdojo.validation.structure import structure_problems


@pytest.mark.parametrize("lab", load_course().labs, ids=lambda lab: lab.id)
def test_the_courses_labs_prove_what_they_claim(lab: object) -> None:
    assert structure_problems(lab) == []  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a sound lab."""
    for name in ("03-canary", "base"):
        shutil.copytree(content_root() / "labs" / name, tmp_path / "labs" / name)
    return tmp_path / "labs" / "03-canary"


def change(file: Path, old: str, new: str) -> int:
    """Replace a text, once; the line where it stood."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def problem(folder: Path) -> str:
    [found] = structure_problems(load_lab(folder))
    return found


def line_of(folder: Path, heading: str) -> int:
    return (folder / "lab.md").read_text().splitlines().index(heading) + 1


def test_a_check_that_does_not_exist(folder: Path) -> None:
    checks = load_lab(folder).tasks[0].checks
    change(folder / "lab.md", f"[{', '.join(checks)}]", f"[{', '.join(checks)}, canary.nosuch]")
    found = structure_problems(load_lab(folder))
    line = line_of(folder, f"## Task: {load_lab(folder).tasks[0].title}")
    assert found[0].startswith(f"labs/03-canary/lab.md:{line}: task 'dark': check: found 'canary.nosuch'; allowed: ")
    assert "canary.hidden" in found[0]
    assert "no wrong solution proves that canary.nosuch can fail" in found[1]


def test_a_check_that_no_task_uses(folder: Path) -> None:
    change(folder / "lab.md", "canary.hidden, ", "")
    (folder / "wrong" / "customers-without-subset.md").unlink()
    found = problem(folder)
    assert re.match(r"checkers/meshdojo/checks/labs/canary\.py:\d+: no task of 03-canary uses canary\.hidden", found)


def test_a_check_without_a_wrong_solution(folder: Path) -> None:
    for path in (folder / "wrong").glob("*.md"):
        if "fails: canary.hidden" in path.read_text():
            path.unlink()
    found = problem(folder)
    line = line_of(folder, "## Task: Bring it in dark")
    assert found.startswith(f"labs/03-canary/lab.md:{line}: task 'dark': no wrong solution proves that canary.hidden")
    assert "add one to 03-canary/wrong/" in found


def test_a_task_without_another_right_solution(folder: Path) -> None:
    for path in (folder / "right").glob("*.md"):
        if "task: dark" in path.read_text():
            path.unlink()
    assert "task 'dark': found no other right solution; add one to 03-canary/right/" in problem(folder)


def test_too_few_wrong_solutions(folder: Path) -> None:
    for path in sorted((folder / "wrong").glob("*.md"))[2:]:
        path.unlink()
    assert structure_problems(load_lab(folder))[-1] == (
        "labs/03-canary/wrong: found 2 wrong solutions, expected at least 3"
    )


def test_a_manifest_in_somebody_elses_namespace(folder: Path) -> None:
    manifest = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}\n"
    (folder / "manifests").mkdir(exist_ok=True)
    (folder / "manifests" / "90-x.yaml").write_text("# first\n" + manifest)
    assert problem(folder).startswith(
        "labs/03-canary/manifests/90-x.yaml:3: ConfigMap x: namespace: found 'other'; allowed: fleet"
    )


def test_a_namespace_that_nothing_may_delete(folder: Path) -> None:
    (folder / "manifests").mkdir(exist_ok=True)
    (folder / "manifests" / "90-x.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n")
    assert problem(folder).startswith(
        "labs/03-canary/manifests/90-x.yaml:1: Namespace more has no label app.kubernetes.io/managed-by: meshdojo"
    )


def test_a_deployment_to_renew_that_is_not_there(folder: Path) -> None:
    line = change(folder / "lab.md", "needs: [istio, fleet]\n", "needs: [istio, fleet]\nfresh: [fleet/nosuch]\n") + 1
    assert problem(folder).startswith(
        f"labs/03-canary/lab.md:{line}: entry 'fresh': found 'fleet/nosuch'; allowed: fleet/api-gateway"
    )
    change(folder / "lab.md", "fleet/nosuch", "istio-system/istio-ingressgateway, fleet/staff-service")
    assert structure_problems(load_lab(folder)) == []


@pytest.mark.parametrize("file", ["lab.md", "right/nine-to-one.md", "wrong/never-retired.md"])
def test_what_is_still_to_be_written(folder: Path, file: str) -> None:
    path = folder / file
    path.write_text(path.read_text() + "\nTODO say why\n")
    line = len(path.read_text().splitlines())
    assert problem(folder) == f"labs/03-canary/{file}:{line}: still to be written: TODO say why"
