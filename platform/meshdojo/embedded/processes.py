"""Naming a process so that its pid cannot be mistaken for another's: pid plus start time."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ProcessName:
    """A process of this machine. `started` is its start time in seconds since the epoch."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessName:
        """Raises psutil.NoSuchProcess when it is gone."""
        return cls(pid, psutil.Process(pid).create_time())

    @classmethod
    def read(cls, path: Path) -> ProcessName | None:
        """What `write` left; None when there is nothing, or nothing readable."""
        try:
            found = json.loads(path.read_text())
            return cls(int(found["pid"]), float(found["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """As JSON, in one step: who reads at the same time sees the old name or the new one."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(path)

    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            # Boot-time rounding may shift the computed start time by some ticks.
            return abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def end(self, patience: float = 15) -> None:
        """Ask it to stop, and kill it after `patience` seconds."""
        for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            self._wait(limit)

    def _wait(self, limit: float) -> None:
        deadline = time.monotonic() + limit
        while self.alive() and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            time.sleep(0.01)
