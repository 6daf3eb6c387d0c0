"""What the templates show: plain values, worked out from the course, the progress and the live state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from meshdojo.web.live import LiveState, MeshStatus
from meshdojo.web.progress import LabProgress

NOTHING = Markup()

TaskStateName = Literal["idle", "notyet", "passed", "lapsed", "error"]


@dataclass(frozen=True)
class Code:
    """A fence. `copy` is what its button puts on the clipboard ('' for no button), `output` the expected output."""

    code: Markup
    caption: str
    copy: str = ""
    command: bool = False
    output: str | None = None


@dataclass(frozen=True)
class Diagram:
    """A mermaid picture, by its source; `title` is what a screen reader says."""

    source: str
    title: str


@dataclass(frozen=True)
class Section:
    """What stands under one heading of the chapter ('' at its start), as safe HTML."""

    id: str
    title: str
    html: Markup


@dataclass(frozen=True)
class Definition:
    """A word of the glossary: its id on the page, its forms, and what it means (`words`: the same as plain text)."""

    id: str
    name: str
    forms: tuple[str, ...]
    html: Markup
    words: str


@dataclass(frozen=True)
class TaskText:
    """A task as the chapter tells it. `number` counts from 1 within the lab; `why` is for afterwards ('' for none)."""

    id: str
    number: int
    title: str
    html: Markup
    hints: tuple[Markup, ...] = ()
    why: Markup = NOTHING


@dataclass(frozen=True)
class Question:
    """A quiz question; `correct` are the numbers (from 0) of the right choices."""

    id: str
    number: int
    prompt: Markup
    choices: tuple[Markup, ...]
    correct: frozenset[int]
    explanation: Markup

    @property
    def multiple(self) -> bool:
        """Whether more than one choice is right, so that boxes are ticked rather than one button chosen."""
        return len(self.correct) > 1


@dataclass(frozen=True)
class Heading:
    """An entry of the outline."""

    id: str
    text: str


@dataclass(frozen=True)
class Chapter:
    """A lab, ready to be shown."""

    name: str
    number: int
    title: str
    description: str
    minutes: int
    difficulty: str
    objectives: tuple[Markup, ...]
    parts: tuple[Section | TaskText, ...]
    questions: tuple[Question, ...]

    @property
    def tasks(self) -> tuple[TaskText, ...]:
        """The tasks, in order."""
        return tuple(part for part in self.parts if isinstance(part, TaskText))

    @property
    def outline(self) -> tuple[Heading, ...]:
        """The headings of the page."""
        headings = [
            Heading(f"task-{part.id}", f"Task {part.number}: {part.title}")
            if isinstance(part, TaskText)
            else Heading(part.id, part.title)
            for part in self.parts
            if part.title
        ]
        return (*headings, *([Heading("quiz", "Quiz")] if self.questions else []))


@dataclass(frozen=True)
class BrokenChapter:
    """A lab whose files could not be read: `problem` says where and what."""

    name: str
    problem: str


@dataclass(frozen=True)
class TaskState:
    """A task as it stands. 'lapsed' is passed once, but not true now; `passed_at` is never taken back."""

    id: str
    number: int
    title: str
    state: TaskStateName
    checking: bool = False
    reason: str = ""
    saw: str = ""
    expected: str = ""
    hint: str = ""
    at: datetime | None = None
    passed_at: datetime | None = None

    @property
    def label(self) -> str:
        """The state in words."""
        return task_label(self.state)


def task_label(state: TaskStateName) -> str:
    """A task's state in words."""
    return {
        "idle": "Not checked yet",
        "notyet": "Not yet",
        "passed": "Passed",
        "lapsed": "Passed before, not true now",
        "error": "Could not check",
    }[state]


def task_state(task: TaskText, live: LiveState) -> TaskState:
    """The state of a task, from its history and from what the judge saw last."""
    passed_at = live.progress.passed_at.get(task.id)
    checking = live.checking == task.id
    now = live.now.get(task.id)
    if now is None:
        # After a restart the past is known and the present is not: say what is known.
        state: TaskStateName = "passed" if passed_at else "idle"
        return TaskState(task.id, task.number, task.title, state, checking, passed_at=passed_at)
    verdict = now.verdict
    state = "lapsed" if passed_at else "notyet"
    if verdict.outcome != "fail":
        state = "passed" if verdict.outcome == "pass" else "error"
    return TaskState(
        task.id,
        task.number,
        task.title,
        state,
        checking,
        verdict.reason,
        verdict.saw,
        verdict.expected,
        verdict.hint,
        now.at,
        passed_at,
    )


@dataclass(frozen=True)
class ChapterProgress:
    """A chapter on the course map."""

    chapter: Chapter
    passed: tuple[bool, ...]

    @property
    def done(self) -> bool:
        """Whether every task has passed (a chapter without tasks is never done)."""
        return bool(self.passed) and all(self.passed)

    @property
    def count(self) -> int:
        """How many tasks have passed."""
        return sum(self.passed)

    @property
    def next_task(self) -> TaskText | None:
        """The first task that has not passed."""
        return next((task for task, ok in zip(self.chapter.tasks, self.passed, strict=True) if not ok), None)


def course_map(chapters: Sequence[Chapter], progress: dict[str, LabProgress]) -> list[ChapterProgress]:
    """Every chapter with what has passed."""
    empty = LabProgress()
    return [
        ChapterProgress(
            chapter, tuple(task.id in progress.get(chapter.name, empty).passed_at for task in chapter.tasks)
        )
        for chapter in chapters
    ]


def next_up(rows: Sequence[ChapterProgress]) -> ChapterProgress | None:
    """What to do next: the chapter that was begun last in course order, else the first that is not done.

    Whoever has passed nothing yet starts with the first chapter, whether or not it has tasks.
    """
    if rows and not any(row.count for row in rows):
        return rows[0]
    open_rows = [row for row in rows if row.chapter.tasks and not row.done]
    return next((row for row in reversed(open_rows) if row.count), open_rows[0] if open_rows else None)


def mesh_label(status: MeshStatus) -> str:
    """The mesh's state in a word or two."""
    return {
        "unknown": "looking for the mesh",
        "absent": "no mesh is running",
        "starting": "starting",
        "ready": "ready",
        "unreachable": "not answering",
    }[status.state]
