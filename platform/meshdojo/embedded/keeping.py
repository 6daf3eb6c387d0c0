"""Two processes that watch each other: the cluster process and its keeper. Either one starts the other again.

The keeper (`keeper`) waits for the cluster process's end, the cluster process (`Kept`) for the keeper's; both by a file
descriptor of the kernel's that becomes readable when a process has ended, however it ended (pidfd_open(2), Linux 5.3).
A kill -9 of either is so healed at once. Nobody watches when both are killed in the same moment: the next
``meshdojo up`` heals that.

The keeper holds the API server's listening socket, too, and hands it to the process that it starts: who connects in
between waits a moment instead of being refused, and nobody else can take the address. And it holds the lifeline of the
pods (`meshdojo.kubelet.lifeline`): they go on while one of the two lives, and the new cluster process takes them over.

What is wanted is said by the file `Environment.keeper_file`, which names the keeper. Nobody starts anything without
having found the right name in it, under its lock: to take the file away is to end it all (`forget`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from meshdojo.embedded.environment import Environment
from meshdojo.embedded.processes import ProcessName
from meshdojo.kubelet.lifeline import Lifeline

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Nobody else starts or forgets a process of this environment meanwhile. Held for moments only."""
    with (state / "keeping.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keeper_of(environment: Environment) -> ProcessName | None:
    """The environment's keeper, if it is there."""
    process = ProcessName.read(environment.keeper_file)
    return process if process is not None and process.alive() else None


def forget(environment: Environment) -> None:
    """From now on nobody starts a process of this environment again; its keeper ends."""
    if not environment.state.is_dir():
        return
    with locked(environment.state):
        process = ProcessName.read(environment.keeper_file)
        environment.keeper_file.unlink(missing_ok=True)
    if process is not None:
        process.end()


def begin(environment: Environment) -> int | None:
    """In a cluster process that a keeper has started: the keeper's pid, or None when this process is not wanted.

    It is not when the environment was stopped meanwhile, or started by somebody else. If it is, it is the environment's
    cluster process from now on.
    """
    with locked(environment.state):
        process, keeper = ProcessName.read(environment.process_file), ProcessName.read(environment.keeper_file)
        other = process is not None and process.pid != os.getpid() and process.alive()
        if other or keeper is None:
            return None
        ProcessName.of(os.getpid()).write(environment.process_file)
        return keeper.pid


class Kept:
    """In the cluster process: has a keeper, as long as this context lasts; leaving it is an orderly end.

    `keeper` is the pid of the one that there is, and a pidfd of it, which is closed here. `listener` and `lifeline` are
    what it holds.
    """

    def __init__(
        self,
        environment: Environment,
        listener: socket.socket,
        lifeline: Lifeline,
        *,
        tied: bool,
        keeper: tuple[int, int] | None = None,
    ) -> None:
        self._environment = environment
        # A copy, since the server closes its own first when it stops.
        self._listener = listener.dup()
        self._lifeline = lifeline
        self._tied = tied
        self._keeper = keeper
        self._child: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Kept:
        try:
            if self._keeper is None:
                with locked(self._environment.state):
                    self._keeper = self._start()
            self._watch(self._keeper[1])
        except (OSError, AttributeError) as error:
            # An old kernel, a sandbox without pidfd_open, another system.
            log.warning("no keeper: nobody will start this process again when it dies (%s)", error)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._unwatch()
        self._listener.close()
        await asyncio.to_thread(forget, self._environment)

    def _start(self) -> tuple[int, int]:
        own = os.pidfd_open(os.getpid())
        held = (self._listener.fileno(), *self._lifeline.descriptors)
        try:
            self._child = subprocess.Popen(
                [
                    *(sys.executable, "-m", "meshdojo.embedded.keeper"),
                    *(self._environment.name, str(self._environment.state), "tied" if self._tied else "free"),
                    *(str(own), *map(str, held)),
                ],
                pass_fds=(own, *held),
                start_new_session=True,
            )
        finally:
            os.close(own)
        pid = self._child.pid
        ProcessName.of(pid).write(self._environment.keeper_file)
        return pid, os.pidfd_open(pid)

    def _watch(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._ended)

    def _unwatch(self) -> int:
        """Stop watching: the pid of the keeper, 0 for none."""
        if self._keeper is None:
            return 0
        pid, descriptor = self._keeper
        self._keeper = None
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        return pid

    def _ended(self) -> None:
        pid = self._unwatch()
        if self._child is not None:
            self._child.wait()
        try:
            with locked(self._environment.state):
                named = ProcessName.read(self._environment.keeper_file)
                if named is not None and named.pid == pid:
                    log.warning("the keeper ended: here is another")
                    self._keeper = self._start()
                    self._watch(self._keeper[1])
        except OSError as error:
            log.warning("no keeper any more: %s", error)
