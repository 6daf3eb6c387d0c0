"""What an author can get wrong: `validate` says file, line, what was found and what is expected, and proves nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.course.content import content_root
from meshdojo.course.course import load_course
from meshdojo.course.errors import CourseError
from meshdojo.embedded import lifecycle
from meshdojo.validation.report import Report
from meshdojo.validation.validate import validate

pytestmark = pytest.mark.anyio
LAB = "labs/03-canary"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("base", "03-canary"):
        shutil.copytree(content_root() / "labs" / name, tmp_path / "labs" / name)
    return tmp_path


def change(file: Path, old: str, new: str) -> int:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


class NoBackend:
    """What is wrong must be found before a cluster is needed."""

    name = "none"
    owned = True
    kubeconfig = Path("/nowhere")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the cluster was asked for {name}")


async def problem(root: Path) -> str:
    """What `meshdojo validate canary` says and stops at."""
    try:
        lab = load_course(root).lab("canary")
    except CourseError as error:
        return str(error)
    report = await validate(lab, NoBackend())
    assert not report.proven
    [step] = report.steps
    assert step.phase == "structure"
    return step.problem


async def test_a_wrong_front_matter(root: Path) -> None:
    line = change(root / LAB / "lab.md", "difficulty: beginner", "difficulty: easy")
    assert (await problem(root)).startswith(
        f"{LAB}/lab.md:{line}: entry 'difficulty': found 'easy'; Input should be 'beg"
    )


async def test_an_unmarked_fence(root: Path) -> None:
    line = change(root / LAB / "lab.md", "```bash\nkubectl get pods", "```\nkubectl get pods")
    assert (await problem(root)).startswith(
        f"{LAB}/lab.md:{line}: language of a fenced block: found ''; allowed: bash, output"
    )


async def test_a_task_without_a_check(root: Path) -> None:
    checks = ", ".join(load_course(root).lab("canary").tasks[0].checks)
    line = change(root / LAB / "lab.md", f"checks: [{checks}]", "checks: []")
    assert (await problem(root)).startswith(
        f"{LAB}/lab.md:{line}: entry 'checks': found []; List should have at least 1"
    )


async def test_a_check_without_a_wrong_solution(root: Path) -> None:
    for path in (root / LAB / "wrong").glob("*.md"):
        if "fails: canary.hidden" in path.read_text():
            path.unlink()
    found = await problem(root)
    assert re.match(
        rf"{LAB}/lab\.md:\d+: task 'dark': no wrong solution proves that canary\.hidden can fail; add", found
    )


async def test_a_wrong_solution_that_names_no_check(root: Path) -> None:
    file = root / LAB / "wrong" / "never-retired.md"
    line = change(file, "fails: canary.retired", "fails: canary.tired")
    allowed = ", ".join(load_course().lab("canary").task("promote").checks)
    assert await problem(root) == (
        f"{LAB}/wrong/never-retired.md:{line}: entry 'fails': found 'canary.tired'; allowed: {allowed}"
    )
    change(file, "fails: canary.tired\n", "")
    assert "never-retired.md:2: entry 'fails' is missing; needed: title, task, fails" in await problem(root)


NAMESPACE = """# what the lab adds
apiVersion: v1
kind: Namespace
metadata: {name: more, labels: {app.kubernetes.io/managed-by: meshdojo}}
---
"""
REFUSED = {
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: more}\nspec: {selector: {}}\n": (
        'the cluster refuses deployments more/x: Deployment x: Deployment.apps "x" is invalid: '
    ),
    "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: more}\nspec: {prts: []}\n": (
        "the cluster refuses services more/x: Service x: "
    ),
    "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x, namespace: more}\n": (
        'no matches for kind "Thing" in version "example.com/v1"'
    ),
}


@pytest.fixture(scope="module")
async def backend(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBackend]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        started = EmbeddedBackend()
        await started.start(lambda text: None)
        yield started
        lifecycle.delete(started.instance)


@pytest.mark.parametrize("manifest", REFUSED)
async def test_a_manifest_that_the_cluster_refuses(root: Path, backend: EmbeddedBackend, manifest: str) -> None:
    change(root / LAB / "lab.md", "needs: [istio, fleet]", "needs: []")
    (root / LAB / "manifests").mkdir(exist_ok=True)
    (root / LAB / "manifests" / "90-more.yaml").write_text(NAMESPACE + manifest)
    report: Report = await validate(load_course(root).lab("canary"), backend)
    assert not report.proven
    step = report.steps[-1]
    assert (step.phase, step.name) == ("set-up", "start state")
    assert step.problem.startswith(f"CourseError: {LAB}/manifests/90-more.yaml:6: {REFUSED[manifest]}")
