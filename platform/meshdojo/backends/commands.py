"""Running other programs (kind, docker, istioctl) without blocking, with errors that show command and output."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Mapping

from meshdojo.backends.base import BackendError, BackendMissing


async def run(*command: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> str:
    """Run `command` and return its standard output.

    Raises `BackendMissing` when the program is not installed, `BackendError` (command, exit code, the end of its
    output) when it fails. A cancelled call kills the program.
    """
    if shutil.which(command[0], path=(env or os.environ).get("PATH")) is None:
        raise BackendMissing(f"'{command[0]}' is not on the PATH. Install it, or use '--backend embedded'.")
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(env) if env is not None else None,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate(stdin)
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        tail = "\n".join((err + out).decode(errors="replace").splitlines()[-20:])
        raise BackendError(f"'{shlex.join(command)}' ended with exit code {process.returncode}:\n{tail}")
    return out.decode(errors="replace")
