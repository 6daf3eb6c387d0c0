from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from meshdojo.embedded.processes import ProcessName

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def test_a_process_is_named_by_pid_and_start_time(tmp_path: Path) -> None:
    name = ProcessName.of(os.getpid())
    name.write(tmp_path / "name")
    assert ProcessName.read(tmp_path / "name") == name
    assert name.alive()


def test_the_same_pid_with_another_start_time_is_another_process() -> None:
    name = ProcessName.of(os.getpid())
    assert not ProcessName(name.pid, name.started - 100).alive()


def test_nothing_readable_is_none(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("{")
    assert ProcessName.read(tmp_path / "name") is None
    assert ProcessName.read(tmp_path / "absent") is None


def test_a_stubborn_process_is_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        name = ProcessName.of(child.pid)
        name.end(patience=0.05)
    assert not name.alive()
    child.returncode = -9
