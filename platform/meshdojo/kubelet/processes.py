"""What /proc tells about processes, and the file that lists ours, so that a later start can clean up after a kill -9.

A process is known by its pid and its start time together: a pid alone may have passed to a foreign process.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_AFTER_COMM_START_TIME = 19  # field 22 of /proc/PID/stat, counted after "(comm) "
MARK = "MESHDOJO_ZYGOTE"
PROCESSES = "processes"  # the file's name in the run directory


def start_time(pid: int) -> int | None:
    """Clock ticks between the machine's boot and the start of process `pid`; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
        return int(fields[_AFTER_COMM_START_TIME])
    except (OSError, IndexError, ValueError):
        return None


def is_zombie(pid: int) -> bool:
    """Whether the process has ended, and nobody has asked for its exit code yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].startswith(b"Z")
    except OSError:
        return False


class ProcessFile:
    """A text file: the mark of a zygote in its first line, then ``PID START_TIME`` of itself and of what it forked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 0

    def begin(self, mark: str, pids: list[int]) -> None:
        """Write the file anew, with those that live."""
        temporary = self._path.with_suffix(".new")
        lines = [mark, *(f"{pid} {start_time(pid) or 0}" for pid in pids)]
        temporary.write_text("\n".join(lines) + "\n")
        temporary.replace(self._path)
        self._lines = len(lines)

    def add(self, mark: str, pid: int, living: list[int]) -> None:
        """One more process. The file is made anew when most of it is about the dead."""
        # On a full disk it is not listed: its mark tells it all the same.
        with contextlib.suppress(OSError):
            if self._lines > 2 * len(living) + 200:
                self.begin(mark, living)
                return
            with open(self._path, "a") as file:
                file.write(f"{pid} {start_time(pid) or 0}\n")
            self._lines += 1


def standby_file(path: Path) -> Path:
    """The file beside a `ProcessFile` that lists, in the same form, the zygote's standby."""
    return path.with_name(f"{path.name}.standby")


def zygote_of(path: Path) -> int | None:
    """The pid of the zygote that a `ProcessFile` is about, if it lives."""
    try:
        pid = _listed(path.read_text().splitlines()[1])
        return None if pid is None or is_zombie(pid) else pid
    except (OSError, ValueError, IndexError):
        return None


def kill_all_leftovers(path: Path) -> list[int]:
    """As `kill_leftovers`, of a zygote and its standby; that one first, lest it take the other's place."""
    return kill_leftovers(standby_file(path)) + kill_leftovers(path)


def kill_leftovers(path: Path) -> list[int]:
    """Kill what an earlier zygote left behind, after a kill -9 of everything above: the pids that were killed.

    Those listed in the file, with the same start time, and those that carry the zygote's mark in their environment
    (which finds also what an app started). No other process is ever touched.
    """
    try:
        mark, *lines = path.read_text().splitlines()
    except (OSError, ValueError):
        return []
    killed = [pid for pid in map(_listed, lines) if pid is not None and _kill(pid)]
    killed += [pid for pid in _marked(mark) if _kill(pid)]
    with contextlib.suppress(OSError):
        path.unlink()
    return killed


def _listed(line: str) -> int | None:
    try:
        pid, started = map(int, line.split())
    except ValueError:
        return None
    return pid if started and pid > 1 and start_time(pid) == started else None


def _marked(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    if len(mark) < 16:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                variables = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                if wanted in variables:
                    found.append(int(entry))
    return found


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True
