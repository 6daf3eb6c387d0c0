from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest

from meshdojo.course.fences import Expected, Fence
from meshdojo.validation.shell import Ran, judge, run

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fence(expected: str | None = None, exit_code: int = 0, masks: tuple[str, ...] = ()) -> Fence:
    output = None if expected is None else Expected(expected, masks, 12)
    return Fence(Path("labs/03-canary/lab.md"), 10, "true\n", exit_code=exit_code, expected=output)


def ends(pid: int, seconds: float = 60) -> bool:
    """Whether a process that was killed is gone, or only waits to be asked about: on a busy machine that takes time."""
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < end:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        time.sleep(0.01)  # nobody tells of the end of a process that is not a child
    return not psutil.pid_exists(pid)


async def bash(code: str, folder: Path, seconds: float = 30) -> Ran:
    return await run(code, {**os.environ, "GREETING": "hi"}, folder, seconds)


async def test_output_and_errors_come_in_one_stream(tmp_path: Path) -> None:
    assert await bash("echo $GREETING; echo no >&2; pwd", tmp_path) == Ran(0, f"hi\nno\n{tmp_path}\n")


@pytest.mark.parametrize("code", ["false; echo on", "echo $UNDEFINED", "false | true"])
async def test_the_first_failure_ends_the_block(tmp_path: Path, code: str) -> None:
    ran = await bash(code, tmp_path)
    assert ran.exit_code == 1
    assert "on\n" not in ran.output


async def test_a_block_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    ran = await bash("echo begun; sleep 1000 & echo $! > pid; wait", tmp_path, seconds=2)
    assert ran == Ran(None, "begun\n")
    assert ends(int((tmp_path / "pid").read_text()))


async def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert await bash("cat; echo end", tmp_path) == Ran(0, "end\n")


def test_what_was_documented_holds() -> None:
    assert judge(fence("a\n"), Ran(0, "a\n")) == ""
    assert judge(fence(), Ran(0, "")) == ""
    assert judge(fence("x\n", exit_code=22), Ran(22, "x\n")) == ""
    assert judge(fence(" 3 a\n", masks=("counts",)), Ran(0, " 4 a\n")) == ""


@pytest.mark.parametrize(
    ("documented", "ran", "words"),
    [
        (fence("a\n"), Ran(0, "b\n"), "-a\n+b"),
        (fence(), Ran(0, "surprise\n"), "+surprise"),
        (fence("a\n"), Ran(1, "a\n"), "ended with 1, expected 0; it printed:\na"),
        (fence("a\n", exit_code=22), Ran(0, "a\n"), "ended with 0, expected 22"),
        (fence("a\n"), Ran(None, "half"), "not done after 60 s; it had printed:\nhalf"),
    ],
)
def test_what_was_not_is_named_with_its_place(documented: Fence, ran: Ran, words: str) -> None:
    problem = judge(documented, ran)
    assert problem.startswith("03-canary/lab.md:10: ")
    assert words in problem
