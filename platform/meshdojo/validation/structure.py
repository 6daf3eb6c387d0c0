"""What can be seen of a lab without a cluster: does it prove what it claims to?

Each problem names file and line, what was found and what is expected.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.checks.registry import Check, all_checks
from meshdojo.course.errors import CourseError, found
from meshdojo.course.frontmatter import line_of
from meshdojo.course.lab import CHAPTER, Lab
from meshdojo.validation.state import ISTIO_SYSTEM

WRONG_SOLUTIONS = 3
# What somebody who begins a lab writes where something is still to be written: `meshdojo new-lab` does.
TO_DO = "TODO"


def structure_problems(lab: Lab) -> list[str]:
    """What is missing from a lab, or claims what nobody proves; [] for a lab that can be proven."""
    problems = [*_unwritten(lab), *_checks(lab), *_manifests(lab), *_fresh(lab)]
    if lab.tasks:
        problems += [*_solutions(lab)]
    return [str(problem) for problem in problems]


def _unwritten(lab: Lab) -> Iterator[CourseError]:
    """Lines that say TODO."""
    files = [lab.folder / CHAPTER, *(solution.file for solution in lab.solutions)]
    for file in [*files, *(file for file in lab.manifest_files if file.is_relative_to(lab.folder))]:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if TO_DO in line:
                yield CourseError(file, number, f"still to be written: {line.strip()}")


def _checks(lab: Lab) -> Iterator[CourseError]:
    known = all_checks()
    of_lab = [id for id, check in known.items() if check.lab == lab.id]
    chapter = lab.folder / CHAPTER
    for task in lab.tasks:
        for id in task.checks:
            if id not in known:
                message = found(f"task {task.id!r}: check", id, sorted(of_lab) or ["none so far"])
                yield CourseError(chapter, task.line, message)
    used = {id for task in lab.tasks for id in task.checks}
    for id in of_lab:
        if id not in used:
            file, line = known[id].place
            yield CourseError(file, line, f"no task of {lab.folder.name} uses {id}: name it in a task, or delete it")
        elif unwritten := _unwritten_words(known[id]):
            file, line = known[id].place
            yield CourseError(file, line, f"check {id} is still to be written: {unwritten}")


def _unwritten_words(check: Check) -> str:
    """What the source of a check says is still to be done; '' when nothing is."""
    return next((line.strip() for line in check.source.splitlines() if TO_DO in line), "")


def _manifests(lab: Lab) -> Iterator[CourseError]:
    """Objects that a reset would not find: it looks in the namespaces that the lab makes."""
    ours = {*lab.namespaces(), *((ISTIO_SYSTEM,) if "cluster-admin" in lab.front.needs else ())}
    for obj, file, line in lab.placed_manifests():
        namespace = obj["metadata"].get("namespace")
        named = f"{obj['kind']} {obj['metadata']['name']}"
        if namespace and namespace not in ours:
            message = found(f"{named}: namespace", namespace, sorted(ours) or ["none"], "Only the lab's own is reset.")
            yield CourseError(file, line, message)
        if obj["kind"] == "Namespace" and "meshdojo" not in (obj["metadata"].get("labels") or {}).values():
            label = "app.kubernetes.io/managed-by: meshdojo"
            yield CourseError(file, line, f"{named} has no label {label}: without it nothing may delete it")


def _fresh(lab: Lab) -> Iterator[CourseError]:
    """Deployments to renew that the lab does not make."""
    made = {
        f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
        for obj in lab.manifests()
        if obj["kind"] == "Deployment"
    }
    chapter = lab.folder / CHAPTER
    for name in lab.front.fresh:
        if name not in made and not name.startswith(f"{ISTIO_SYSTEM}/"):
            allowed = [*sorted(made), f"{ISTIO_SYSTEM}/NAME"]
            yield CourseError(chapter, line_of(chapter, "fresh"), found("entry 'fresh'", name, allowed))


def _solutions(lab: Lab) -> Iterator[CourseError]:
    chapter = lab.folder / CHAPTER
    solved = {right.front.task for right in lab.right}
    failed = {wrong.front.fails for wrong in lab.wrong}
    for task in lab.tasks:
        if task.id not in solved:
            remedy = f"add one to {lab.folder.name}/right/ that differs in structure from the chapter's"
            yield CourseError(chapter, task.line, f"task {task.id!r}: found no other right solution; {remedy}")
        for id in task.checks:
            if id not in failed:
                failed.add(id)
                remedy = f"add one to {lab.folder.name}/wrong/ that fails it"
                yield CourseError(
                    chapter, task.line, f"task {task.id!r}: no wrong solution proves that {id} can fail; {remedy}"
                )
    if len(lab.wrong) < WRONG_SOLUTIONS:
        message = f"found {len(lab.wrong)} wrong solutions, expected at least {WRONG_SOLUTIONS}"
        yield CourseError(lab.folder / "wrong", 0, message)
