"""``ps``: the processes of this container, where the host's would show the machine's.

Busybox's four columns, or those of ``ps aux``.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_RUNNER, _TOOLS = "meshdojo.kubelet.runner", "meshdojo.kubelet.tools."
# In the environment of every process of a container, and of no other (the zygote sees to it for those it forks).
_MARK = "MESHDOJO_ROOT"


@dataclass(frozen=True)
class Process:
    """One line of the list. Times are in seconds, sizes in KiB."""

    pid: int
    started: float
    used: float
    virtual: int
    resident: int
    state: str
    command: str


def processes() -> list[Process]:
    """Those of this container, in the order of their pids."""
    wanted = f"{_MARK}={os.environ.get(_MARK, '')}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(_process(int(entry)))
            except (OSError, IndexError, ValueError):
                continue  # it has ended, or belongs to somebody else
    return sorted(found, key=lambda process: process.pid)


def _process(pid: int) -> Process:
    folder = Path(f"/proc/{pid}")
    name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(") ")
    fields = rest.split()
    words = _typed((folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0"))
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return Process(
        pid=pid,
        started=boot + int(fields[19]) / ticks,
        used=(int(fields[11]) + int(fields[12])) / ticks,
        virtual=int(fields[20]) // 1024,
        resident=int(fields[21]) * page // 1024,
        state=fields[0],
        command=" ".join(words) or f"[{name}]",
    )


def _typed(words: list[str]) -> list[str]:
    """What was typed: one of our tools is a Python program, which a reader of the list need not know."""
    if _RUNNER in words:
        rest = words[words.index(_RUNNER) + 1 :]
        if len(rest) > 1 and rest[0] == "-m" and rest[1].startswith(_TOOLS):
            return [rest[1].removeprefix(_TOOLS), *rest[2:]]
    return words


def main(argv: list[str]) -> int:
    """Exit status."""
    user = os.environ.get("USER") or ("root" if os.getuid() == 0 else str(os.getuid()))
    letters = "".join(argv[1:])
    if "u" in letters or "f" in letters:
        print("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND")
        for one in processes():
            began = time.strftime("%H:%M", time.localtime(one.started))
            print(
                f"{user:<10} {one.pid:>5}  0.0  0.0 {one.virtual:>6} {one.resident:>5} ?        {one.state:<4} {began} "
                f"{_time(one.used):>6} {one.command}"
            )
        return 0
    print("PID   USER     TIME  COMMAND")
    for one in processes():
        print(f"{one.pid:>5} {user:<8} {_time(one.used):>5} {one.command}")
    return 0


def _time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
