"""Reads a chapter: plain Markdown that looks well on GitHub, with a few conventions on top.

    ## Task: Bring it in dark                    a task, followed by an invisible comment in YAML:
    <!-- task: dark
    checks: [canary.hidden, canary.preview]
    -->
    <details><summary>Hint 1: a nudge</summary>  graded hints: "a nudge", "a direction", "the answer"
    <details><summary>Why this works</summary>   what to read after the task has turned green

    ## Quiz                                      questions: a heading, a numbered list, and
    ### Why …?                                   <details><summary>Answer</summary> whose text starts with the number
    1. …                                         of the right choice (or choices, as in **1 and 3.**)

Everything under a `##` heading belongs to it. Fenced blocks: see `fences`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel, ConfigDict, Field

from meshdojo.course.errors import CourseError, found
from meshdojo.course.fences import Block, Fence, gather
from meshdojo.course.frontmatter import parse_yaml

TASK_PREFIX = "Task:"
QUIZ = "Quiz"
GRADES = ("a nudge", "a direction", "the answer")
WHY = "Why this works"
ANSWER = "Answer"
ID = r"^[a-z][a-z0-9-]*$"
CHECK_ID = r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$"

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_SUMMARY = re.compile(r"<details[^>]*>\s*<summary>(.*?)</summary>", re.DOTALL)
_HINT = re.compile(r"Hint (\d): (.+)")
_CHOICES = re.compile(r"\*\*(\d+(?:(?:,| and|, and) \d+)*)\.?\*\*")


@dataclass(frozen=True)
class Details:
    """A `<details>` block: its summary, the Markdown inside, its first and its last line."""

    summary: str
    markdown: str
    line: int
    end: int


@dataclass(frozen=True)
class Task:
    """One thing to achieve. `hints` are Markdown, from a nudge to the answer; `why` is read afterwards.

    `solved_at` is the line where the answer ends: the commands before it solve the task, those after it look around.
    """

    id: str
    title: str
    checks: tuple[str, ...]
    hints: tuple[str, ...]
    why: str
    line: int
    solved_at: int


@dataclass(frozen=True)
class Question:
    """One question of the quiz. `right` has the numbers (from 1) of the right choices."""

    text: str
    choices: tuple[str, ...]
    right: frozenset[int]
    explanation: str
    line: int


@dataclass(frozen=True)
class Section:
    """What stands under one `##` heading ('' before the first). `markdown` is its source without the heading."""

    title: str
    markdown: str
    line: int
    fences: tuple[Fence, ...]
    task: Task | None = None
    questions: tuple[Question, ...] = ()


class _TaskComment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: str = Field(pattern=ID)
    checks: list[str] = Field(min_length=1)


def sections(file: Path, body: str) -> tuple[str, tuple[Section, ...]]:
    """The `#` title ('' without one) and the sections of a chapter, in order. Raises CourseError."""
    tokens = MarkdownIt("commonmark").parse(body)
    for token in tokens:
        if token.type == "code_block":
            raise CourseError(file, _line(token), "an indented code block: use a fence (```bash, ```text, …)")
    source = body.splitlines()
    title, parsed = "", []
    for heading, content, first, end in _split(tokens):
        if heading.startswith("# "):
            title = heading.removeprefix("# ")
            heading = ""
        parsed.append(_section(file, heading.removeprefix("## "), content, source[first:end], first + 1))
    return title, tuple(section for section in parsed if section.title or section.markdown)


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def _split(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token], int, int]]:
    """Cuts at `#` and `##`: heading with its marks, tokens, first line of the content and the line after it."""
    heading, first, last = "", 0, 0
    content: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        last = max(last, token.map[1] if token.map else 0)
        if token.type == "heading_open" and token.tag in ("h1", "h2") and token.level == 0:
            assert token.map is not None
            yield heading, content, first, token.map[0]
            heading = f"{token.markup} {tokens[index + 1].content}"
            content, first = [], token.map[1]
            index += 3
            continue
        content.append(token)
        index += 1
    yield heading, content, first, last


def _section(file: Path, title: str, tokens: list[Token], source: list[str], line: int) -> Section:
    blocks = [Block(_line(token), token.info, token.content) for token in tokens if token.type == "fence"]
    details = _details(file, tokens, source, line)
    task = questions = None
    if title.startswith(TASK_PREFIX):
        task = _task(file, title.removeprefix(TASK_PREFIX).strip(), tokens, details, line - 1)
    elif title == QUIZ:
        questions = _questions(file, tokens, source, line)
    markdown = "\n".join(source).strip("\n")
    return Section(title, markdown, line - 1, tuple(gather(file, blocks)), task, questions or ())


def _details(file: Path, tokens: list[Token], source: list[str], line: int) -> list[Details]:
    """The `<details>` blocks among `tokens`; `source` starts at `line`."""
    blocks: list[Details] = []
    opened: tuple[str, Token] | None = None
    for token in tokens:
        if token.type != "html_block":
            continue
        if summary := _SUMMARY.search(token.content):
            if opened:
                raise CourseError(file, _line(token), "a <details> inside a <details>: close the first one")
            opened = (summary[1].strip(), token)
        if "</details>" in token.content:
            if not opened or opened[1] is token:
                raise CourseError(file, _line(token), "</details> needs blank lines around it and a <details> before")
            assert opened[1].map is not None
            assert token.map is not None
            inside = source[opened[1].map[1] + 1 - line : token.map[0] + 1 - line]
            blocks.append(Details(opened[0], "\n".join(inside).strip("\n"), _line(opened[1]), _line(token)))
            opened = None
    if opened:
        raise CourseError(file, _line(opened[1]), "<details> without </details> (each needs blank lines around it)")
    return blocks


def _task(file: Path, title: str, tokens: list[Token], details: list[Details], line: int) -> Task:
    comment = _task_comment(file, tokens, line)
    for check in comment.checks:
        if not re.match(CHECK_ID, check):
            raise CourseError(file, line, f"check {check!r}: expected LAB.NAME in small letters, digits and dashes")
    why = [block.markdown for block in details if block.summary == WHY]
    if len(why) != 1:
        remedy = f"<details><summary>{WHY}</summary>"
        raise CourseError(file, line, f"task {comment.task!r}: found {len(why)} explanations, expected one: {remedy}")
    hints = _hints(file, details, comment.task, line)
    return Task(
        comment.task,
        title,
        tuple(comment.checks),
        tuple(hint.markdown for hint in hints),
        why[0],
        line,
        hints[-1].end,
    )


def _task_comment(file: Path, tokens: list[Token], line: int) -> _TaskComment:
    for token in tokens:
        match = _COMMENT.match(token.content) if token.type == "html_block" else None
        if match and match[1].strip().startswith("task:"):
            blank = len(match[1]) - len(match[1].lstrip())
            text = match[1].strip()
            return parse_yaml(file, text, _TaskComment, _line(token) + match[1][:blank].count("\n"))
    raise CourseError(file, line, "a task without its comment: <!-- task: ID, then a line checks: [LAB.NAME, …] -->")


def _hints(file: Path, details: list[Details], task: str, line: int) -> list[Details]:
    hints: list[Details] = []
    for block in details:
        if not block.summary.startswith("Hint"):
            continue
        match = _HINT.fullmatch(block.summary)
        expected = f"Hint {len(hints) + 1}: {GRADES[len(hints)]}" if len(hints) < len(GRADES) else "no further hint"
        if not match or block.summary != expected:
            raise CourseError(file, block.line, found("summary of a hint", block.summary, [expected]))
        hints.append(block)
    if len(hints) != len(GRADES):
        wanted = ", ".join(f"Hint {number}: {grade}" for number, grade in enumerate(GRADES, 1))
        raise CourseError(file, line, f"task {task!r}: found {len(hints)} hints, expected three: {wanted}")
    return hints


def _questions(file: Path, tokens: list[Token], source: list[str], line: int) -> tuple[Question, ...]:
    questions = []
    starts = [index for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h3"]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=False):
        questions.append(_question(file, tokens[start:end], source, line))
    if not questions:
        raise CourseError(file, line - 1, "a quiz without questions: each is a ### heading")
    return tuple(questions)


def _question(file: Path, tokens: list[Token], source: list[str], line: int) -> Question:
    text, at = tokens[1].content, _line(tokens[0])
    choices = tuple(_choices(tokens))
    answers = [block for block in _details(file, tokens, source, line) if block.summary == ANSWER]
    if len(choices) < 2 or len(answers) != 1:
        raise CourseError(file, at, f"question {text!r}: expected a numbered list of choices and one <summary>{ANSWER}")
    match = _CHOICES.match(answers[0].markdown)
    right = frozenset(int(number) for number in re.findall(r"\d+", match[1])) if match else frozenset()
    if not right or not right <= set(range(1, len(choices) + 1)):
        allowed = f"a number from 1 to {len(choices)} in bold, such as **1.** or **1 and 2.**"
        raise CourseError(file, answers[0].line, f"the answer must start with {allowed}")
    assert match is not None
    return Question(text, choices, right, answers[0].markdown[match.end() :].strip(), at)


def _choices(tokens: Sequence[Token]) -> Iterator[str]:
    """The items of the first numbered list, each as the source of its paragraphs."""
    depth = 0
    item: list[str] | None = None
    for token in tokens:
        if token.type == "ordered_list_open":
            depth += 1
        elif token.type == "ordered_list_close":
            return
        elif depth and token.type == "list_item_open":
            item = []
        elif depth and token.type == "list_item_close" and item is not None:
            yield "\n\n".join(item)
        elif depth and token.type == "inline" and item is not None:
            item.append(token.content)
