"""What ``meshdojo validate`` does: proves labs one after the other, and shows the result."""

from __future__ import annotations

from pathlib import Path

from meshdojo.backends.base import Backend
from meshdojo.cli.console import EXIT_FAILED, err, out, run, steps
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.validation.report import Report, junit, table
from meshdojo.validation.validate import validate


def prove(names: list[str], backend: Backend, passes: int, folder: Path, junit_file: Path | None) -> int:
    """Prove the labs with these names (none: all); returns the exit code."""
    course = load_course()
    labs = [course.lab(name) for name in names] if names else list(course.labs)
    reports = run(_prove(labs, backend, passes, folder))
    out.print(table(reports))
    for report in reports:
        for step in report.failures:
            err.print(f"{report.lab}: {step.name}: {step.problem}", markup=False)
    if junit_file:
        junit_file.write_text(junit(reports))
    return 0 if all(report.proven for report in reports) else EXIT_FAILED


async def _prove(labs: list[Lab], backend: Backend, passes: int, folder: Path) -> list[Report]:
    with steps() as progress:
        await backend.start(progress)
        return [await validate(lab, backend, passes=passes, folder=folder, progress=progress) for lab in labs]
