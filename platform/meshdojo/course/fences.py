"""The fenced blocks of a chapter. Every command in them is either run by CI or marked as not run.

    ```bash                          run by `meshdojo validate` (see `validation.shell`), compared with ...
    ```output                        ... this, the block that follows it (none: the command prints nothing)
    ```bash timeout=120              it may take longer than 60 seconds
    ```bash exit=22                  it is expected to end with this code
    ```bash no-run: opens a browser  shown only, and why
    ```output mask=counts            with one more rule of `masks.ON_REQUEST`
    ```yaml, json, text, mermaid …   shown only

Anything else (no language, an unknown one, an option that does not exist, an `output` without its command) is an
error: a block that CI silently passes over is one that may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meshdojo.course.errors import CourseError, found
from meshdojo.course.masks import ON_REQUEST

DISPLAY = ("mermaid", "yaml", "json", "text", "http", "html", "python", "diff")
LANGUAGES = ("bash", "output", *DISPLAY)
DEFAULT_TIMEOUT = 60.0
MAXIMUM_TIMEOUT = 600.0


@dataclass(frozen=True)
class Expected:
    """What a command prints: the text of its `output` block, and the additional masks."""

    text: str
    masks: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Fence:
    """One block of commands. `no_run` is the reason why CI does not run it ('' when it does). `line` counts from 1."""

    file: Path
    line: int
    code: str
    no_run: str = ""
    timeout: float = DEFAULT_TIMEOUT
    exit_code: int = 0
    expected: Expected | None = None


@dataclass(frozen=True)
class Block:
    """A fenced block as the Markdown parser found it."""

    line: int
    info: str
    content: str

    @property
    def language(self) -> str:
        """The first word after the backticks, '' for none."""
        return self.info.split(maxsplit=1)[0] if self.info.strip() else ""

    @property
    def options(self) -> str:
        """What stands behind the language."""
        return self.info[len(self.language) :].strip()


def gather(file: Path, blocks: list[Block]) -> list[Fence]:
    """The commands among a file's blocks, each with the output that follows it. Raises CourseError."""
    fences: list[Fence] = []
    previous = ""
    for block in blocks:
        if block.language not in LANGUAGES:
            remedy = "Commands are ```bash; say ```text for anything else that is only shown."
            raise CourseError(file, block.line, found("language of a fenced block", block.language, LANGUAGES, remedy))
        if block.language == "bash":
            fences.append(_command(file, block))
        elif block.language == "output":
            if previous != "bash":
                raise CourseError(file, block.line, "an output block must follow the ```bash block that prints it")
            fences[-1] = _with_output(fences[-1], _output(file, block))
        elif block.options:
            raise CourseError(file, block.line, found("options of a fenced block", block.options, ["none"]))
        previous = block.language
    return fences


def _with_output(fence: Fence, expected: Expected) -> Fence:
    return Fence(fence.file, fence.line, fence.code, fence.no_run, fence.timeout, fence.exit_code, expected)


def _command(file: Path, block: Block) -> Fence:
    options = block.options
    if options.startswith("no-run"):
        reason = options.removeprefix("no-run").removeprefix(":").strip()
        if not reason:
            raise CourseError(file, block.line, "no-run needs a reason: ```bash no-run: opens a browser")
        return Fence(file, block.line, block.content, no_run=reason)
    timeout, exit_code = DEFAULT_TIMEOUT, 0
    for option in options.split():
        name, _, value = option.partition("=")
        if name == "timeout":
            timeout = float(_number(file, block.line, option, value, MAXIMUM_TIMEOUT))
        elif name == "exit":
            exit_code = _number(file, block.line, option, value, 255)
        else:
            allowed = ["timeout=SECONDS", "exit=CODE", "no-run: REASON"]
            raise CourseError(file, block.line, found("option of a bash block", option, allowed))
    return Fence(file, block.line, block.content, timeout=timeout, exit_code=exit_code)


def _number(file: Path, line: int, option: str, value: str, maximum: float) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= maximum:
        raise CourseError(file, line, f"option {option!r}: expected a whole number from 1 to {maximum:g}")
    return int(value)


def _output(file: Path, block: Block) -> Expected:
    masks: tuple[str, ...] = ()
    for option in block.options.split():
        name, _, value = option.partition("=")
        if name != "mask" or value not in ON_REQUEST:
            allowed = [f"mask={rule}" for rule in ON_REQUEST]
            raise CourseError(file, block.line, found("option of an output block", option, allowed))
        masks = (*masks, value)
    return Expected(block.content, masks, block.line)
