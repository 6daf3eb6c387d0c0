from pathlib import Path
from typing import Any

import pytest

from meshdojo.course.errors import CourseError
from meshdojo.course.fences import Block, gather

FILE = Path("labs/10-demo/lab.md")


def blocks(*infos: Any) -> Any:
    return [Block(10 * number, info, f"text {number}\n") for number, info in enumerate(infos, 1)]


def test_a_command_with_its_output() -> None:
    [fence] = gather(FILE, blocks("bash", "output"))
    assert (fence.line, fence.code, fence.timeout, fence.exit_code, fence.no_run) == (10, "text 1\n", 60, 0, "")
    assert fence.expected is not None
    assert fence.expected.text == "text 2\n"


def test_a_command_without_output_prints_nothing() -> None:
    [fence] = gather(FILE, blocks("bash"))
    assert fence.expected is None


def test_options() -> None:
    timeout, code, unrun = gather(FILE, blocks("bash timeout=120", "bash exit=22", "bash no-run: opens a browser"))
    assert timeout.timeout == 120
    assert code.exit_code == 22
    assert unrun.no_run == "opens a browser"


def test_masks_on_request() -> None:
    [fence] = gather(FILE, blocks("bash", "output mask=counts"))
    assert fence.expected is not None
    assert fence.expected.masks == ("counts",)


def test_what_is_only_shown_is_no_command() -> None:
    assert gather(FILE, blocks("mermaid", "yaml", "json", "text")) == []


@pytest.mark.parametrize(
    ("infos", "line", "message"),
    [
        ([""], 10, "allowed: bash, output"),
        (["sh"], 10, "found 'sh'"),
        (["bash", "console"], 20, "found 'console'"),
        (["output"], 10, "must follow"),
        (["bash", "yaml", "output"], 30, "must follow"),
        (["bash", "output", "output"], 30, "must follow"),
        (["bash no-run"], 10, "needs a reason"),
        (["bash no-run:"], 10, "needs a reason"),
        (["bash expectError=true"], 10, "found 'expectError=true'; allowed: timeout=SECONDS"),
        (["bash timeout=soon"], 10, "expected a whole number from 1 to 600"),
        (["bash timeout=0"], 10, "expected a whole number"),
        (["bash exit=256"], 10, "from 1 to 255"),
        (["bash", "output mask=everything"], 20, "allowed: mask=counts"),
        (["yaml no-run: x"], 10, "found 'no-run: x'; allowed: none"),
    ],
)
def test_nothing_is_passed_over_silently(infos: Any, line: Any, message: Any) -> None:
    with pytest.raises(CourseError) as caught:
        gather(FILE, blocks(*infos))
    assert str(caught.value).startswith(f"labs/10-demo/lab.md:{line}: ")
    assert message in str(caught.value)
