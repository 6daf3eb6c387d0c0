"""Starting and stopping an environment's cluster process, from another process.

The child reports over a pipe: one JSON object per line, ``{"event": "step", "text": …}`` while it starts,
``{"event": "ready"}`` once the API answers, ``{"event": "failed", "text": …}``. The end of the pipe without
'ready' means that it died; its log then says why.

Once it is ready, a keeper starts it again whenever it dies unasked (`keeping`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from meshdojo.embedded import directories, keeping
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.errors import NotRunning, StartFailed
from meshdojo.embedded.processes import ProcessName
from meshdojo.kubelet.processes import PROCESSES, kill_all_leftovers

Report = Callable[[str], None]
# A keeper that has not started a dead cluster process again by then never will.
HEALING_SECONDS = 30.0


def running(environment: Environment) -> ProcessName | None:
    """The environment's cluster process, if it is there."""
    process = ProcessName.read(environment.process_file)
    return process if process is not None and process.alive() else None


def start(environment: Environment, report: Report = lambda text: None, *, tied: bool = False) -> bool:
    """Start the cluster process unless it runs; returns when its API answers.

    A `tied` one stops by itself when this process is gone, however it ended. True when this call started it, False when
    it was there (a second ``up`` joins the first). Raises `StartFailed`.
    """
    directories.private(environment.state)
    patience = time.monotonic() + HEALING_SECONDS
    while True:
        with starting(environment):
            if running(environment):
                return False
            if keeping.keeper_of(environment) is None or time.monotonic() > patience:
                keeping.forget(environment)
                _spawn(environment, report, tied)
                return True
        time.sleep(0.02)  # the keeper is about to start it


def stop(environment: Environment) -> bool:
    """Stop the cluster process and everything it started, for good. False when it was not running."""
    keeping.forget(environment)
    process = running(environment)
    if process is not None:
        process.end()
        environment.process_file.unlink(missing_ok=True)
    # Where the two could not do it themselves: what lived by them ends now, and not in a moment.
    kill_all_leftovers(environment.run / PROCESSES)
    return process is not None


def delete(environment: Environment) -> None:
    """Stop the environment and delete its state, for good."""
    stop(environment)
    shutil.rmtree(environment.run, ignore_errors=True)
    shutil.rmtree(environment.state, ignore_errors=True)


def require(environment: Environment) -> ProcessName:
    """The running cluster process; raises `NotRunning`."""
    process = running(environment)
    if process is None:
        raise NotRunning("the embedded mesh is not running. Start it with 'meshdojo up --detach'.")
    return process


@contextlib.contextmanager
def starting(environment: Environment) -> Iterator[None]:
    """Two simultaneous starts: the second waits for the first, then finds it running. A keeper's start is one, too."""
    with (environment.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _spawn(environment: Environment, report: Report, tied: bool) -> None:
    reading, writing = os.pipe()
    # The writing end is never closed: the kernel does it when this process ends, and the child then reads the end.
    tie = os.pipe()[0] if tied else os.open(os.devnull, os.O_RDONLY)
    try:
        with environment.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "meshdojo.embedded", environment.name, str(writing), "tied" if tied else "free"],
                stdin=tie,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                start_new_session=True,
            )
    finally:
        os.close(writing)
        os.close(tie)
    process = ProcessName.of(child.pid)
    process.write(environment.process_file)
    try:
        with os.fdopen(reading) as pipe:
            _follow(pipe, environment.log, report)
    except BaseException:
        keeping.forget(environment)
        process.end()
        environment.process_file.unlink(missing_ok=True)
        raise
    finally:
        # The child outlives this object on purpose; without this, its destructor would warn.
        child.returncode = 0


def _follow(pipe: Iterator[str], log: Path, report: Report) -> None:
    for line in pipe:
        message = json.loads(line)
        if message["event"] == "ready":
            return
        if message["event"] == "failed":
            raise StartFailed(message["text"])
        report(message["text"])
    raise StartFailed(f"the cluster process ended before it was ready. Its log: {log}\n{_tail(log)}")


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
