"""A chapter without its answers: what somebody needs who is to solve its tasks in a way of their own.

Hints and explanations are in ``<details>``; the quiz asks about what the tasks have just shown, so it goes as a whole.
Markdown's fences are looked at, so that a listing about HTML stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

QUIZ = "## Quiz"


def without_answers(text: str) -> str:
    """The Markdown of a chapter without ``<details>`` and quiz."""
    return "".join(_kept(text.splitlines(keepends=True)))


def _kept(lines: list[str]) -> Iterator[str]:
    depth, fence, quiz, blank = 0, "", False, False
    for line in lines:
        word = line.strip()
        if fence:
            fence = "" if word == fence else fence
        elif word.startswith("```"):
            fence = "`" * (len(word) - len(word.lstrip("`")))
        elif word.startswith("## "):
            quiz = word == QUIZ
        elif word == "<details>":
            depth += 1
        if depth == 0 and not quiz and not (blank and not word):
            yield line
            blank = not word
        if not fence and word == "</details>":
            depth -= 1
