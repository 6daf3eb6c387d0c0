"""The zygote's standby: a copy of it that sleeps, and takes its place when it dies.

What a zygote costs is its imports: one to two seconds of CPU, in which no container can be started again. The copy has
them all, and shares their memory. It is forked when there is nothing to do, and waits for the end of its original (by a
pidfd, Linux 5.3; without it there is no standby); then for a kubelet's call over the `lifeline`, as any zygote does
whose kubelet has died. Until its original is dead it does not read there, only looks whether anybody is at the other
end.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import sys
from pathlib import Path

from meshdojo.kubelet import lifeline, program
from meshdojo.kubelet.processes import MARK, ProcessFile, standby_file, zygote_of

_MODULE = "meshdojo.kubelet.zygote"


class Standby:
    """In the copy. `original` is a pidfd of the process that it is a copy of."""

    def __init__(self, line: socket.socket, process_file: Path, original: int, mark: str) -> None:
        self._line = line
        self._process_file = process_file
        self._original = original
        self._mark = mark

    def called(self) -> socket.socket | None:
        """The control socket of the kubelet that calls when the original is dead; None when nobody will any more."""
        self._settle()
        poll = select.poll()
        poll.register(self._original, select.POLLIN)
        poll.register(self._line, 0)  # its end is told all the same
        ended = {descriptor for descriptor, _ in poll.poll()}
        # One that its original had not listed yet is found by nobody, and must not answer in another's place.
        if self._original not in ended or zygote_of(standby_file(self._process_file)) != os.getpid():
            return None
        os.close(self._original)
        control = lifeline.answer(self._line)
        if control is not None:
            program.show([sys.executable, "-m", _MODULE], dict(os.environ))
        return control

    def _settle(self) -> None:
        """Be a process of its own, told from the original by its mark. (Until then it is one of its leftovers.)"""
        with contextlib.suppress(OSError):
            os.setsid()
        signal.set_wakeup_fd(-1)
        environment = {**os.environ, MARK: self._mark}
        os.environ.clear()
        os.environ.update(environment)
        program.show([sys.executable, "-m", _MODULE, "standby"], environment)


def fork(line: socket.socket, process_file: Path) -> int | Standby:
    """Copy this process: in the original the copy's pid, in the copy what it is. Raises OSError.

    The copy is listed in `processes.standby_file`.
    """
    if not hasattr(os, "pidfd_open"):
        raise OSError("this system has no pidfd_open")
    original = os.pidfd_open(os.getpid())
    mark = secrets.token_hex(16)
    try:
        pid = os.fork()
    except OSError:
        os.close(original)
        raise
    if pid == 0:
        return Standby(line, process_file, original, mark)
    os.close(original)
    with contextlib.suppress(OSError):  # on a full disk nobody will call it
        ProcessFile(standby_file(process_file)).begin(mark, [pid])
    return pid
