"""Mistakes in the course's files, in the words of the person who has to mend them.

CourseError        message: what is wrong; str() starts with `file:line: `
NoSuch             somebody asked for a lab or task that the course does not have
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from meshdojo.errors import UsageError, UserError


class CourseError(UserError):
    """Something in `labs/` or `apps/` is not as it must be.

    `file` is shown relative to the course's root where it lies in it, `line` counts from 1 (0: the whole file).
    """

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f"{_short(file)}:{line}: {message}" if line else f"{_short(file)}: {message}")
        self.file = file
        self.line = line
        self.message = message


class NoSuch(UsageError):
    """The course is well, and has no `what` (a lab, a task) of this name. The text lists those that there are."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {what} {name!r}; there are: {', '.join(known) or 'none'}")


def found(what: str, value: object, allowed: Iterable[str], remedy: str = "") -> str:
    """The standard sentence: what it is about, what was found, what is allowed, what to do."""
    sentence = f"{what}: found {value!r}; allowed: {', '.join(allowed)}"
    return f"{sentence}. {remedy}" if remedy else sentence


def _short(file: Path) -> str:
    """The part of the path from `checkers/`, `labs/` or `apps/` on; the whole path when it has none of them."""
    parts = file.parts
    for roots in (("checkers",), ("labs", "apps")):
        for index in range(len(parts) - 2, -1, -1):
            if parts[index] in roots:
                return "/".join(parts[index:])
    return str(file)
