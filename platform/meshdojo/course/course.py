"""The course: all labs, in order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from meshdojo.course.content import content_root
from meshdojo.course.errors import CourseError, NoSuch
from meshdojo.course.lab import BASE, Lab, load_lab


@dataclass(frozen=True)
class Course:
    """The labs, ordered by weight."""

    folder: Path
    labs: tuple[Lab, ...]

    def lab(self, name: str) -> Lab:
        """The lab with this id (``canary``) or folder (``03-canary``). Raises NoSuch, which lists the labs."""
        for lab in self.labs:
            if name in (lab.id, lab.folder.name):
                return lab
        raise NoSuch("lab", name, (lab.id for lab in self.labs))


def load_course(root: Path | None = None) -> Course:
    """Read all of `labs/` below `root` (None: meshdojo's own content). Raises CourseError for the first mistake."""
    folder = (root or content_root()) / "labs"
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != BASE)
    labs = sorted((load_lab(path) for path in folders), key=lambda lab: lab.front.weight)
    for one, other in pairwise(labs):
        if one.front.weight == other.front.weight:
            raise CourseError(other.folder, 0, f"weight {other.front.weight} is also that of {one.folder.name}")
    ids = [lab.id for lab in labs]
    for lab in labs:
        if ids.count(lab.id) > 1:
            raise CourseError(lab.folder, 0, f"there are two labs with the name {lab.id!r}")
    return Course(folder, tuple(labs))
