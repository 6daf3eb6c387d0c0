"""Pseudo-terminals of this process: bash (or the owner's own shell) in the lab's environment.

Only the owner of the site gets one (`security.is_owner`). Whoever that is could start the same shell in a terminal of
their own; what another person typed is never run here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import shlex
import shutil
import signal
import struct
import sys
import termios
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil

from meshdojo.errors import UserError
from meshdojo.web.shells import Shell, ShellError, Shells

MOST_SHELLS = 12
READ = 64 * 1024
GRACE_SECONDS = 1.0
HERE = Path(__file__).parent
# Not for programs that learners start.
PRIVATE = ("MESHDOJO_DATABASE",)

log = logging.getLogger(__name__)

# The variables of the lab's environment; raises UserError when it is not running.
Environment = Callable[[], Awaitable[Mapping[str, str]]]


class LocalShell(Shell):
    """A process at a pseudo-terminal. `master` is our end of it, and belongs to this object."""

    def __init__(
        self, identity: str, learner: int, lab: str, number: int, process: asyncio.subprocess.Process, master: int
    ) -> None:
        super().__init__(identity, learner, lab, number)
        self._process = process
        self._master = master
        self._typed = bytearray()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(master, False)
        self._reading = False
        self._read_more()
        self._end = asyncio.create_task(self._wait(), name=f"shell {identity}")

    def _read_more(self) -> None:
        if not self._reading and self._master >= 0:
            self._loop.add_reader(self._master, self._on_output)
            self._reading = True

    def _read_no_more(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._master)
            self._reading = False

    def _on_output(self) -> None:
        try:
            data = os.read(self._master, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO: nobody holds the other end any more
        if not data:
            self._read_no_more()
            return
        self.printed(data)
        if self.behind:
            self._read_no_more()

    def caught_up(self) -> None:
        if self.running and not self.behind:
            self._read_more()

    async def _wait(self) -> None:
        code = await self._process.wait()
        # What it printed last may still be on its way.
        with contextlib.suppress(OSError):
            while data := os.read(self._master, READ):
                self.printed(data)
        self._release()
        self.finish(code)

    def _release(self) -> None:
        """Let go of the terminal; the kernel then hangs up on whoever still uses it."""
        self._read_no_more()
        if self._master >= 0:
            self._loop.remove_writer(self._master)
            os.close(self._master)
            self._master = -1

    def write(self, data: bytes) -> None:
        if self._master < 0:
            return
        self._typed += data
        self._type()

    def _type(self) -> None:
        try:
            del self._typed[: os.write(self._master, self._typed)]
        except BlockingIOError:
            pass
        except OSError:
            self._typed.clear()
        if self._typed:
            self._loop.add_writer(self._master, self._type)
        else:
            self._loop.remove_writer(self._master)

    def resize(self, columns: int, rows: int) -> None:
        if self._master >= 0:
            set_size(self._master, columns, rows)

    def foreground(self) -> str:
        if self._master < 0:
            return ""
        try:
            group = os.tcgetpgrp(self._master)
            return "" if group == self._process.pid else psutil.Process(group).name()
        except (OSError, psutil.Error):
            return ""

    async def close(self) -> None:
        if self.running:
            family = _family(self._process.pid)
            _signal(family, signal.SIGHUP)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._end), GRACE_SECONDS)
            _signal(family, signal.SIGKILL)
        await self._end


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that it started (job control puts each command into a group of its own)."""
    try:
        shell = psutil.Process(pid)
        return [shell, *shell.children(recursive=True)]
    except psutil.Error:
        return []


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # psutil sends nothing to a process that has the number of another
            process.send_signal(number)


class LocalShells(Shells):
    """The shells of one site. `directory` holds their history and the folders they start in, one for each lab."""

    def __init__(self, directory: Path, environment: Environment, start: str) -> None:
        self._directory = directory
        self._environment = environment
        self._start = start
        self._shells: dict[str, LocalShell] = {}

    async def open(self, learner: int, lab: str, columns: int, rows: int) -> Shell:
        mine = [shell for shell in self._shells.values() if shell.learner == learner and shell.running]
        if len(mine) >= MOST_SHELLS:
            raise ShellError(f"{MOST_SHELLS} terminals are open. Close one of them first.")
        folder = self.folder(lab)
        variables, complaint = await self._variables(lab)
        master, slave = os.openpty()
        try:
            set_size(slave, columns, rows)
            process = await asyncio.create_subprocess_exec(
                *_command(),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=variables,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            os.close(master)
            raise ShellError(f"a shell could not be started: {error.strerror or error}") from error
        finally:
            os.close(slave)
        numbers = {shell.number for shell in self.of(learner, lab)}
        number = next(number for number in range(1, 1000) if number not in numbers)
        shell = LocalShell(secrets.token_urlsafe(12), learner, lab, number, process, master)
        if complaint:
            shell.printed(complaint)
        self._shells[shell.id] = shell
        return shell

    def folder(self, lab: str) -> Path:
        """Where the shells of a lab start, and where its files are."""
        folder = self._directory / "work" / lab
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _variables(self, lab: str) -> tuple[dict[str, str], bytes]:
        """The variables, and what to print first when the lab's environment is not there."""
        complaint = b""
        try:
            variables = dict(await self._environment())
        except UserError as error:
            log.info("a shell without a mesh: %s", error)
            variables = dict(os.environ)
            words = f"No mesh is running. Start it with\n  {self._start}\nand open another terminal then.\n\n"
            complaint = words.replace("\n", "\r\n").encode()
        for name in PRIVATE:
            variables.pop(name, None)
        variables |= {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "MESHDOJO_LAB": lab,
            "MESHDOJO_PATH": variables.get("PATH", os.defpath),
            "MESHDOJO_HISTORY": str(self._directory / "history"),
            "MESHDOJO_VARIABLES": str(self._write_variables(variables)),
        }
        variables.setdefault("LANG", "C.UTF-8")
        return variables, complaint

    def _write_variables(self, variables: Mapping[str, str]) -> Path:
        """What every prompt reads anew: an address that came with an installation reaches shells that are open."""
        path = self._directory / "variables.bash"
        if "GATEWAY_URL" in variables:
            path.write_text(f"export GATEWAY_URL={shlex.quote(variables['GATEWAY_URL'])}\n")
        return path

    async def refresh(self) -> None:
        """The lab's environment may have changed (Istio was installed): let open shells know at their next prompt."""
        with contextlib.suppress(UserError):
            self._write_variables(await self._environment())

    def find(self, learner: int, identity: str) -> Shell | None:
        shell = self._shells.get(identity)
        return shell if shell and shell.learner == learner else None

    def of(self, learner: int, lab: str) -> Sequence[Shell]:
        return [shell for shell in self._shells.values() if shell.learner == learner and shell.lab == lab]

    async def discard(self, shell: Shell) -> None:
        self._shells.pop(shell.id, None)
        await shell.close()

    async def close(self) -> None:
        await asyncio.gather(*(self.discard(shell) for shell in list(self._shells.values())))


def set_size(descriptor: int, columns: int, rows: int) -> None:
    """Set the size of a terminal; the kernel tells the programs (SIGWINCH)."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _command() -> list[str]:
    """bash with our own start file; the owner's shell where there is no bash."""
    bash = shutil.which("bash")
    shell = [bash, "--rcfile", str(HERE / "lab.bash"), "-i"] if bash else [os.environ.get("SHELL") or "/bin/sh", "-i"]
    return [sys.executable, "-I", "-S", str(HERE / "controlling.py"), *shell]
