"""`Zygote`: the kubelet's side of the zygote. Starts it, asks it for processes, tells how they ended.

SpawnError    the zygote could not fork, or is gone
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshdojo.kubelet import frames
from meshdojo.kubelet.processes import MARK, kill_leftovers

log = logging.getLogger(__name__)

# What the node's own programs use; the apps' modules come from the caller.
OWN_MODULES = ("asyncio", "ssl", "meshdojo.kubelet.tools.curl", "meshdojo.kubelet.nodeproxy")
STOP_SECONDS = 10.0
REPLACEMENT_SECONDS = 10.0


class SpawnError(Exception):
    """A process could not be started. The text says why."""


@dataclass(frozen=True)
class ProcessSpec:
    """A process to start. `main`: when it ends, all processes of the same `container` end."""

    argv: Sequence[str]
    env: dict[str, str]
    cwd: str
    path: Sequence[str] = ()
    container: str = ""
    main: bool = False
    tty: bool = False
    title: str = ""
    limits: dict[str, int] = field(default_factory=dict)


class Spawned:
    """A running process. `exited` gives the exit code, -N for signal N."""

    def __init__(self, zygote: Zygote, pid: int, exited: asyncio.Future[int]) -> None:
        self.pid = pid
        self.exited = exited
        self._zygote = zygote

    def signal(self, number: int, *, group: bool = True) -> None:
        """Send a signal to the process (and its group). Nothing happens when it is gone."""
        if not self.exited.done():
            self._zygote.request({"signal": int(number), "pid": self.pid, "group": group})

    async def wait(self) -> int:
        """The exit code; 128 + signal number when a signal ended it."""
        code = await asyncio.shield(self.exited)
        return code if code >= 0 else 128 - code


class Zygote:
    """Starts processes for one kubelet. `preload` are modules that programs use, imported once, before the first fork.

    `later` are some that it imports when there is nothing to do.

    `died` is called when the zygote process itself ends unasked.
    """

    def __init__(
        self,
        process_file: Path,
        *,
        preload: Sequence[str] = (),
        later: Sequence[str] = (),
        died: Callable[[], None] | None = None,
    ) -> None:
        self._process_file = process_file
        self._preload = (*OWN_MODULES, *preload)
        self._later = later
        self._died = died
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._up = asyncio.Event()
        self._stopped = False
        self._outgoing = bytearray()
        self._pending: list[tuple[bytes, list[int]]] = []
        self._incoming = bytearray()
        self._numbers = 0
        self._starting: dict[int, asyncio.Future[Spawned]] = {}
        self._running: dict[int, asyncio.Future[int]] = {}

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Clean up after an earlier zygote, and start one. Processes may be asked for at once; they wait for it."""
        killed = kill_leftovers(self._process_file)
        if killed:
            log.warning("killed %d processes that an earlier run left behind", len(killed))
        ours = self._launch()
        ours.setblocking(False)
        self._control = ours
        self._stopped = False
        self._up.set()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._readable)

    def _launch(self) -> socket.socket:
        """Start the process: our end of its control socket."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        module = [sys.executable, "-m", "meshdojo.kubelet.zygote"]
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(*module, str(theirs.fileno()), str(self._process_file)),
                    *(",".join(self._preload), ",".join(self._later)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                # The padding is room for what forked processes show as their environment.
                env={**os.environ, MARK: secrets.token_hex(16), "MESHDOJO_PADDING": "." * 512},
            )
        return ours

    async def stop(self) -> None:
        """Close the control socket (the zygote kills all its children) and wait for its end."""
        process = self._process
        self._stopped = True
        self._disconnect()
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        with contextlib.suppress(OSError):
            self._process_file.unlink()

    async def spawn(self, spec: ProcessSpec, stdin: int, stdout: int, stderr: int) -> Spawned:
        """Start a process with these standard descriptors (still to be closed by the caller). Raises `SpawnError`.

        Waits a while for a zygote that is being replaced.
        """
        if not self._stopped:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._up.wait(), REPLACEMENT_SECONDS)
        self._numbers += 1
        number = self._numbers
        started: asyncio.Future[Spawned] = asyncio.get_running_loop().create_future()
        self._starting[number] = started
        message = {
            "start": number,
            "argv": list(spec.argv),
            "env": spec.env,
            "cwd": spec.cwd,
            "path": list(spec.path),
            "container": spec.container,
            "main": spec.main,
            "tty": spec.tty,
            "title": spec.title,
            "limits": spec.limits,
        }
        # The caller may close its descriptors before the message has left.
        self.request(message, [os.dup(descriptor) for descriptor in (stdin, stdout, stderr)])
        return await started

    def request(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Queue a message; its `descriptors` are closed when it has left. Raises `SpawnError` without a zygote."""
        if self._control is None:
            for descriptor in descriptors or ():
                os.close(descriptor)
            if "start" in message:
                del self._starting[message["start"]]
                raise SpawnError("the process starter is not running")
            return
        self._pending.append((b"".join(frames.encode(message)), descriptors or []))
        self._writable()

    def _writable(self) -> None:
        """Send as much as the socket takes. Descriptors go with the first byte of their message."""
        control = self._control
        if control is None:
            return
        try:
            while self._outgoing or self._pending:
                if self._outgoing:
                    sent = control.send(self._outgoing)
                    del self._outgoing[:sent]
                else:
                    self._begin_message(control)
        except BlockingIOError:
            asyncio.get_running_loop().add_writer(control.fileno(), self._writable)
            return
        except OSError:
            self._lost()
            return
        asyncio.get_running_loop().remove_writer(control.fileno())

    def _begin_message(self, control: socket.socket) -> None:
        data, descriptors = self._pending[0]
        sent = control.sendmsg([data[: frames.LENGTH_BYTES]], frames.rights(descriptors))
        self._pending.pop(0)
        self._outgoing += data[sent:]
        for descriptor in descriptors:
            os.close(descriptor)

    def _readable(self) -> None:
        try:
            data = self._control.recv(65536) if self._control is not None else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._incoming += data
        while len(self._incoming) >= frames.LENGTH_BYTES:
            end = frames.LENGTH_BYTES + int.from_bytes(self._incoming[: frames.LENGTH_BYTES], "big")
            if len(self._incoming) < end:
                return
            message = json.loads(self._incoming[frames.LENGTH_BYTES : end])
            del self._incoming[:end]
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self._begun(self._starting.pop(message["started"]), message)
        elif "exited" in message:
            exited = self._running.pop(message["exited"], None)
            if exited is not None and not exited.done():
                exited.set_result(message["status"])

    def _begun(self, future: asyncio.Future[Spawned], message: dict[str, Any]) -> None:
        if "pid" not in message:
            if not future.done():
                future.set_exception(SpawnError(f"cannot fork: {message['error']}"))
            return
        pid = message["pid"]
        self._running[pid] = asyncio.get_running_loop().create_future()
        spawned = Spawned(self, pid, self._running[pid])
        if future.done():
            spawned.signal(signal.SIGKILL)  # whoever asked was cancelled
        else:
            future.set_result(spawned)

    def _lost(self) -> None:
        """The zygote is gone, and with it (PDEATHSIG) every process."""
        process, died = self._process, self._died
        self._disconnect()
        if process is not None:
            process.kill()
            process.wait()
        kill_leftovers(self._process_file)
        if died is not None and not self._stopped:
            log.warning("the zygote ended (%s); all containers ended with it", process and process.returncode)
            died()

    def _disconnect(self) -> None:
        if self._control is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._control.fileno())
            loop.remove_writer(self._control.fileno())
            self._control.close()
        self._control = self._process = None
        self._up.clear()
        self._outgoing.clear()
        self._incoming.clear()
        for _, descriptors in self._pending:
            for descriptor in descriptors:
                os.close(descriptor)
        self._pending.clear()
        for future in self._starting.values():
            if not future.done():
                future.set_exception(SpawnError("the process starter ended"))
        for exited in self._running.values():
            if not exited.done():
                exited.set_result(-signal.SIGKILL)
        self._starting.clear()
        self._running.clear()
