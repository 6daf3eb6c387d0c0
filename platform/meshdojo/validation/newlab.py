"""Begins a lab: a skeleton that reads, whose check runs and fails, and that says itself what is still to be written.

Everything to write is marked TODO. As long as one is left, `meshdojo validate` stops at the structure of the lab, names
file and line of each, and calls nothing proven; once all are gone it goes on to the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

from meshdojo.course.course import load_course
from meshdojo.errors import UsageError, UserError

SKELETON = Path(__file__).parent / "skeleton"
CHECKS = Path("checkers/meshdojo/checks/labs")
TESTS = Path("tests/checks/labs")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
HIGHEST = 99


def new_lab(root: Path, name: str, number: int | None = None) -> list[Path]:
    """Write the skeleton of the lab `name` below `root`, a checkout; the files that were made.

    `number` is that of its folder (None: after the last one), and the tens of its weight. Raises UserError for a name
    or number that is taken or none, and for a `root` that is no checkout; then nothing was written.
    """
    _require(root, name)
    course = load_course(root)
    taken = {int(lab.folder.name[:2]) for lab in course.labs}
    chosen = max(taken, default=0) + 1 if number is None else number
    if chosen in taken or not 0 <= chosen <= HIGHEST:
        used = ", ".join(f"{one:02}" for one in sorted(taken))
        raise UsageError(f"number {chosen}: expected one from 0 to {HIGHEST} that no lab has; used are {used}")
    weights = {lab.front.weight for lab in course.labs}
    weight = next(weight for weight in range(10 * chosen, 10 * chosen + len(weights) + 1) if weight not in weights)
    values = {
        "name": name,
        "title": name.replace("-", " ").capitalize(),
        "module": module_of(name),
        "weight": str(weight),
    }
    files = dict(_files(root, name, chosen))
    if there := [path for path in files if path.exists()]:
        raise UserError(f"{there[0]} is there already: choose another name, or delete it")
    for path, source in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    return list(files)


def module_of(name: str) -> str:
    """The Python module with the checks of a lab."""
    return name.replace("-", "_")


def _require(root: Path, name: str) -> None:
    if not (root / CHECKS).is_dir():
        raise UserError(f"{root} is no checkout of meshdojo: a lab's checks are part of its source. Clone it first.")
    if not _NAME.fullmatch(name):
        raise UsageError(f"name {name!r}: expected small letters, digits and single dashes, such as 'rate-limits'")
    if any(name == lab.id for lab in load_course(root).labs):
        raise UsageError(f"there is a lab {name!r} already")


def _files(root: Path, name: str, number: int) -> Iterator[tuple[Path, Path]]:
    folder = root / "labs" / f"{number:02}-{name}"
    for source in sorted(SKELETON.rglob("*.md")):
        yield folder / source.relative_to(SKELETON), source
    yield root / CHECKS / f"{module_of(name)}.py", SKELETON / "checks.txt"
    yield root / TESTS / f"test_{module_of(name)}.py", SKELETON / "tests.txt"
