"""The course's labs as chapters, kept as long as their files do not change."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment

from meshdojo.course.content import content_root
from meshdojo.course.errors import CourseError
from meshdojo.course.glossary import NAME as GLOSSARY
from meshdojo.course.glossary import Term, read_glossary
from meshdojo.course.lab import BASE, Lab, load_lab
from meshdojo.web.chapter import Writer, read_chapter, slug
from meshdojo.web.search import plain
from meshdojo.web.views import BrokenChapter, Chapter, Definition

log = logging.getLogger(__name__)

# A room that opens its pages at once asks for the files once.
LOOK_AGAIN_SECONDS = 0.2

_Stamp = tuple[tuple[str, int, int], ...]


class CourseLibrary:
    """Reads ``labs/`` below `root` (None: what meshdojo ships). One broken lab does not hide the others."""

    def __init__(self, templates: Environment, root: Path | None = None) -> None:
        self.directory = (root or content_root()) / "labs"
        self._templates = templates
        self._glossary: tuple[tuple[int, int], tuple[Definition, ...]] | None = None
        self._known: dict[Path, tuple[_Stamp, tuple[Lab, Chapter] | BrokenChapter]] = {}
        self._read_at = -LOOK_AGAIN_SECONDS
        self._all: list[tuple[Lab, Chapter] | BrokenChapter] = []

    def chapters(self) -> tuple[Chapter, ...]:
        """The labs that can be shown, by weight."""
        read = [found for found in self._read() if not isinstance(found, BrokenChapter)]
        return tuple(chapter for _, chapter in sorted(read, key=lambda pair: pair[0].front.weight))

    def broken(self) -> tuple[BrokenChapter, ...]:
        """The labs that cannot, and why."""
        return tuple(found for found in self._read() if isinstance(found, BrokenChapter))

    def glossary(self) -> tuple[Definition, ...]:
        """The words of the course; () when there are none, or the file has a mistake (`meshdojo labs` says which)."""
        path = self.directory / GLOSSARY
        try:
            status = path.stat()
        except OSError:
            return ()
        stamp = (status.st_mtime_ns, status.st_size)
        if self._glossary is None or self._glossary[0] != stamp:
            try:
                terms = read_glossary(self.directory)
            except CourseError as error:
                log.warning("%s", error)
                terms = ()
            self._glossary = (stamp, tuple(self._definition(term) for term in terms))
            self._known.clear()  # chapters lead to it
        return self._glossary[1]

    def _definition(self, term: Term) -> Definition:
        html = Writer(self._templates).html(term.meaning)
        return Definition(slug(term.name), term.name, term.forms, html, plain(html))

    def checks(self, name: str) -> dict[str, tuple[str, ...]]:
        """The tasks of a lab, each with the ids of its checks; {} when there is no such lab."""
        read = (found for found in self._read() if not isinstance(found, BrokenChapter))
        lab = next((lab for lab, chapter in read if chapter.name == name), None)
        return {task.id: task.checks for task in lab.tasks} if lab else {}

    def _read(self) -> list[tuple[Lab, Chapter] | BrokenChapter]:
        if time.monotonic() - self._read_at >= LOOK_AGAIN_SECONDS:
            self._all = [self._one(folder) for folder in self._folders()]
            self._read_at = time.monotonic()
        return self._all

    def _folders(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if path.is_dir() and path.name != BASE)

    def _one(self, folder: Path) -> tuple[Lab, Chapter] | BrokenChapter:
        stamp = _stamp(folder)
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = self._known[folder] = (stamp, self._load(folder))
        return known[1]

    def _load(self, folder: Path) -> tuple[Lab, Chapter] | BrokenChapter:
        try:
            lab = load_lab(folder)
            return lab, read_chapter(lab, self._templates, self.glossary())
        except CourseError as error:
            return BrokenChapter(folder.name, str(error))


def _stamp(folder: Path) -> _Stamp:
    """What changes when a file of the lab does."""
    return tuple(sorted(_stamps(folder)))


def _stamps(folder: Path | str) -> Iterator[tuple[str, int, int]]:
    # Asked for with every page: scandir, as pathlib takes several times as long.
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat()
            yield entry.path, status.st_mtime_ns, status.st_size
            if entry.is_dir():
                yield from _stamps(entry.path)
