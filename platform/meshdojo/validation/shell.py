"""Runs the documented commands as a learner would: in bash, in the lab shell's environment."""

from __future__ import annotations

import asyncio
import difflib
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from meshdojo.course.fences import Fence
from meshdojo.course.masks import matches, normalised

OUTPUT_LIMIT = 1_000_000


@dataclass(frozen=True)
class Ran:
    """How a block of commands ended (None: it was stopped after its time) and all that it printed."""

    exit_code: int | None
    output: str


async def run(code: str, environment: Mapping[str, str], folder: Path, seconds: float) -> Ran:
    """Run `code` with `bash -eu -o pipefail` in `folder`; standard error goes where standard output goes."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        *("-eu", "-o", "pipefail", "-c", code),
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            while chunk := await process.stdout.read(65536):
                if sum(map(len, parts)) < OUTPUT_LIMIT:
                    parts.append(chunk)
            code_ = await process.wait()
    except TimeoutError:
        return Ran(None, b"".join(parts).decode(errors="replace"))
    finally:
        # The group, so that nothing that the block started in the background outlives it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return Ran(code_, b"".join(parts).decode(errors="replace"))


def judge(fence: Fence, ran: Ran) -> str:
    """What is wrong with how a block went, '' when all is as documented."""
    where = f"{fence.file.parent.name}/{fence.file.name}:{fence.line}"
    if ran.exit_code is None:
        return f"{where}: not done after {fence.timeout:g} s; it had printed:\n{ran.output}"
    if ran.exit_code != fence.exit_code:
        return f"{where}: ended with {ran.exit_code}, expected {fence.exit_code}; it printed:\n{ran.output}"
    expected = fence.expected.text if fence.expected else ""
    masks = fence.expected.masks if fence.expected else ()
    if matches(expected, ran.output, masks):
        return ""
    diff = difflib.unified_diff(
        normalised(expected, masks), normalised(ran.output, masks), "documented", "printed", lineterm=""
    )
    return f"{where}: printed something else (names, ages, addresses and versions are masked):\n" + "\n".join(diff)
