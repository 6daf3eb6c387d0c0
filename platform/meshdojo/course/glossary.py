"""The words of the course: ``labs/glossary.md``.

A ``##`` heading for each word, in alphabetical order; under it, if need be, a comment ``also:`` with other forms, and
the explanation in Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from meshdojo.course.errors import CourseError

NAME = "glossary.md"
_ALSO = re.compile(r"<!--\s*also:\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Term:
    """A word, other forms of it, and what it means (Markdown)."""

    name: str
    also: tuple[str, ...]
    meaning: str

    @property
    def forms(self) -> tuple[str, ...]:
        """All the ways in which chapters write it."""
        return (self.name, *self.also)


def read_glossary(labs: Path) -> tuple[Term, ...]:
    """The terms of ``labs/glossary.md``; () when there is no such file. Raises CourseError with the line."""
    path = labs / NAME
    if not path.is_file():
        return ()
    terms: list[Term] = []
    for line, name, body in _sections(path.read_text()):
        also = _ALSO.search(body)
        meaning = _ALSO.sub("", body).strip()
        if not meaning:
            raise CourseError(path, line, f"{name!r} has no explanation")
        forms = tuple(form.strip() for form in also[1].split(",")) if also else ()
        terms.append(Term(name, forms, meaning))
        known = [form.lower() for term in terms for form in term.forms]
        if len(set(known)) < len(known):
            raise CourseError(path, line, f"{name!r}, or another form of it, stands there twice")
        if len(terms) > 1 and terms[-2].name.lower() > name.lower():
            raise CourseError(path, line, f"{name!r} comes after {terms[-2].name!r}; the order is alphabetical")
    return tuple(terms)


def _sections(text: str) -> list[tuple[int, str, str]]:
    """(line, heading, text) of each ``##`` section."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            found.append((number, line[3:].strip(), []))
        elif found:
            found[-1][2].append(line)
    return [(number, heading, "\n".join(lines)) for number, heading, lines in found]
