"""Words to the user: progress and errors on standard error, results on standard output.

Exit codes: 0 it is so; 1 a check or a validation failed; 2 the command line was wrong, or names what there is not;
3 the environment failed (never the learner's fault); 130 interrupted.
"""

from __future__ import annotations

import asyncio
import codecs
import io
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from rich.console import Console

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

# What stands for our signs on a terminal whose encoding has none.
_PLAIN = {"✔": "+", "✘": "x", "…": "...", "–": "-", "×": "x"}

Result = TypeVar("Result")


def legible(*streams: TextIO) -> None:
    """Let `streams` print whatever they are given: what their encoding (say ASCII) lacks becomes something like it."""
    codecs.register_error("meshdojo-plain", _plain)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="meshdojo-plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in text), error.end


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A function that shows what is going on: a spinner on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        yield lambda text: err.print(text, markup=False)
        return
    with err.status("starting") as status:
        yield lambda text: status.update(text)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's asynchronous part."""
    return asyncio.run(coroutine)
