"""`Zygote`: the kubelet's side of the zygote. Starts it, or takes over that of a kubelet which is no more; asks it for
processes, tells how they ended.

SpawnError          the zygote could not fork, or is not there
└── StarterLost     it died before it had answered
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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshdojo.kubelet import frames
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubelet.processes import (
    MARK,
    is_zombie,
    kill_all_leftovers,
    kill_leftovers,
    standby_file,
    start_time,
    zygote_of,
)

log = logging.getLogger(__name__)

# What the node's own programs use; the apps' modules come from the caller.
OWN_MODULES = ("asyncio", "ssl", "meshdojo.kubelet.tools.curl", "meshdojo.kubelet.nodeproxy")
STOP_SECONDS = 10.0
REPLACEMENT_SECONDS = 10.0
TRIES = 3
TAKE_OVER_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class SpawnError(Exception):
    """A process could not be started. The text says why."""


class StarterLost(SpawnError):
    """The zygote died before it had answered, and with it what it may have started."""


@dataclass(frozen=True)
class ProcessSpec:
    """A process to start. `main`: when it ends, all processes of the same `container` end.

    Of a main process the zygote keeps `note` for a kubelet to come. With `log` it writes what the process prints there.
    """

    argv: Sequence[str]
    env: dict[str, str]
    cwd: str
    path: Sequence[str] = ()
    container: str = ""
    main: bool = False
    tty: bool = False
    title: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None


@dataclass(frozen=True)
class Ends:
    """Descriptors that the zygote gets beside a process' own, copies of which it keeps.

    The reading ends of its `streams` with a `bell` (both or none: see `outputs`), the writing end of its standard
    `input`; -1 is none.
    """

    streams: dict[int, str] = field(default_factory=dict)
    bell: int = -1
    input: int = -1

    @property
    def descriptors(self) -> list[int]:
        """All of them, in the order in which they are passed."""
        bell, last = [self.bell] if self.bell >= 0 else [], [self.input] if self.input >= 0 else []
        return [*self.streams, *bell, *last]


@dataclass(frozen=True)
class Survivor:
    """The last run of a container that an earlier kubelet started, and what the kubelet noted about it.

    `status` is its exit code (-N for signal N), None while it runs; `input` the writing end of its standard input, -1
    for none.
    """

    container: str
    pid: int
    note: dict[str, Any]
    status: int | None
    ended: str
    input: int


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


class _Process:
    """The zygote's process: our child, or that of a process which is no more."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._started = start_time(pid)
        self._child = child

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._child.kill()
        elif self._there():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it has not come after so many seconds."""
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        deadline = time.monotonic() + seconds
        while self._there():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def answers(self, ours: socket.socket) -> bool:
        """Wait for the first of its answer; False when it ends meanwhile, or does not answer."""
        deadline = time.monotonic() + TAKE_OVER_SECONDS
        while not frames.ready(ours, _LOOK_SECONDS):
            if time.monotonic() > deadline or not self._there():
                return False
        return True

    def _there(self) -> bool:
        return start_time(self.pid) == self._started and not is_zombie(self.pid)


@dataclass
class _Estate:
    """What a zygote has kept for a kubelet to come: descriptors by their names, and containers."""

    descriptors: dict[str, int] = field(default_factory=dict)
    survivors: dict[str, Survivor] = field(default_factory=dict)

    def read(self, control: socket.socket) -> bool:
        """Read its list; False when it ends in the middle, or speaks another protocol."""
        while (received := frames.receive(control)) is not None:
            message, descriptors = received
            match message:
                case {"kept": name}:
                    self.descriptors[name] = descriptors[0]
                case {"found": container}:
                    self.survivors[container] = Survivor(
                        container,
                        message["pid"],
                        message["note"],
                        message["status"],
                        message["ended"],
                        descriptors[0] if descriptors else -1,
                    )
                case {"listed": protocol}:
                    return bool(protocol == frames.PROTOCOL)
        return False

    def close(self) -> None:
        """It is of no use."""
        for descriptor in (*self.descriptors.values(), *(one.input for one in self.survivors.values())):
            if descriptor >= 0:
                os.close(descriptor)


class Zygote:
    """Starts processes for one kubelet. `preload` are modules that programs use, imported once, before the first fork.

    `later` are some that it imports when there is nothing to do.

    `died` is called when the zygote process itself ends unasked; `start` then lets its standby go on. With an inherited
    `lifeline` a zygote may be there already: it is taken over, and `survivors` are the containers that it has.
    """

    def __init__(
        self,
        process_file: Path,
        *,
        preload: Sequence[str] = (),
        later: Sequence[str] = (),
        died: Callable[[], None] | None = None,
        lifeline: Lifeline | None = None,
    ) -> None:
        self._process_file = process_file
        self._preload = (*OWN_MODULES, *preload)
        self._later = later
        self._died = died
        self._lifeline, self._owns_lifeline = lifeline, lifeline is None
        self.taken_over = False
        self.survivors: dict[str, Survivor] = {}
        self._kept: dict[str, int] = {}
        self._process: _Process | None = None
        self._control: socket.socket | None = None
        self._up = asyncio.Event()
        self._stopped = False
        self._outgoing = bytearray()
        self._pending: list[tuple[bytes, list[int]]] = []
        self._incoming = bytearray()
        self._numbers = 0
        self._starting: dict[int, asyncio.Future[Spawned]] = {}
        self._running: dict[int, asyncio.Future[int]] = {}
        self._adoptable: dict[int, asyncio.Future[int]] = {}
        self._flushing: dict[int, asyncio.Future[None]] = {}

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Take over the zygote that is there, or clean up after an earlier one, and start one.

        Processes may be asked for at once; they wait for it.
        """
        if self._lifeline is None:
            self._lifeline = Lifeline.make()
        loop = asyncio.get_running_loop()
        found = await asyncio.to_thread(self._take_over, self._lifeline) if self._lifeline.used else None
        self.taken_over = found is not None
        found = found or await asyncio.to_thread(self._go_on, self._lifeline)
        ours = found or self._begin(self._lifeline)
        ours.setblocking(False)
        self._control = ours
        self._stopped = False
        for survivor in self.survivors.values():
            if survivor.status is None:
                self._running[survivor.pid] = self._adoptable[survivor.pid] = loop.create_future()
        loop.add_reader(ours.fileno(), self._readable)
        if not self.taken_over:
            for name, descriptor in self._kept.items():
                self.request({"keep": name}, [os.dup(descriptor)])
        self._up.set()

    def _take_over(self, line: Lifeline) -> socket.socket | None:
        """Call the zygote that is there: our end of its control socket, None when there is none, or no answer."""
        found = self._call(line, self._process_file)
        if found is None:
            return None
        control, kept = found
        self._kept = kept.descriptors
        self.survivors = kept.survivors
        log.info("took over the zygote %s with %d containers", self.pid, len(self.survivors))
        return control

    def _call(self, line: Lifeline, file: Path) -> tuple[socket.socket, _Estate] | None:
        """Call the zygote (or standby) that this file names: our end of its control socket, and what it has kept."""
        pid = zygote_of(file)
        if pid is None:
            return None
        process, estate = _Process(pid), _Estate()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(TAKE_OVER_SECONDS)
        try:
            with theirs:
                line.call(theirs)
            ours.sendall(b"".join(frames.encode({"list": True})))
            if process.answers(ours) and estate.read(ours):
                self._process = process
                return ours, estate
        except OSError as error:
            log.warning("the zygote %d cannot be taken over: %s", pid, error)
        ours.close()
        estate.close()
        return None

    def _go_on(self, line: Lifeline) -> socket.socket | None:
        """Clean up after an earlier zygote, and let its standby go on, if it has one: our end of its control socket."""
        killed = kill_leftovers(self._process_file)
        if killed:
            log.warning("killed %d processes that an earlier run left behind", len(killed))
        found = self._call(line, standby_file(self._process_file)) if line.used else None
        if found is not None:
            log.info("the standby %s goes on", self.pid)
            return found[0]
        kill_all_leftovers(self._process_file)  # it may have been called by a kubelet that has died since
        return None

    def _begin(self, line: Lifeline) -> socket.socket:
        """Start a zygote: our end of its control socket."""
        line.clear()
        line.used = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        module = [sys.executable, "-m", "meshdojo.kubelet.zygote"]
        with theirs:
            descriptors = (theirs.fileno(), line.far.fileno())
            child = subprocess.Popen(
                [
                    *(*module, *map(str, descriptors), str(self._process_file)),
                    *(",".join(self._preload), ",".join(self._later)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,
                # The padding is room for what forked processes show as their environment.
                env={**os.environ, MARK: secrets.token_hex(16), "MESHDOJO_PADDING": "." * 512},
            )
        self._process = _Process(child.pid, child)
        return ours

    def survivor(self, container: str) -> Survivor | None:
        """The last run of a container that the zygote had when it was taken over. It is asked for once."""
        return self.survivors.pop(container, None)

    def adopt(self, survivor: Survivor) -> Spawned:
        """The process of one that runs."""
        return Spawned(self, survivor.pid, self._adoptable.pop(survivor.pid))

    def kept(self, name: str) -> int | None:
        """The descriptor that was once kept under this name; it stays the zygote's."""
        return self._kept.get(name)

    async def flush(self, container: str) -> None:
        """Return when all that a container has printed until now is in its log."""
        if self._control is None:
            return
        self._numbers += 1
        flushed = self._flushing[self._numbers] = asyncio.get_running_loop().create_future()
        self.request({"flush": self._numbers, "of": container})
        await flushed

    def keep(self, name: str, descriptor: int) -> None:
        """Keep a copy of `descriptor` for kubelets to come."""
        before = self._kept.pop(name, None)
        if before is not None:
            os.close(before)
        self._kept[name] = os.dup(descriptor)
        self.request({"keep": name}, [os.dup(descriptor)])

    async def stop(self) -> None:
        """Let the zygote kill all its children and end; wait for that."""
        process, control = self._process, self._control
        self._stopped = True
        if control is not None:
            with contextlib.suppress(OSError):
                await asyncio.wait_for(self._send_end(), STOP_SECONDS)
        self._disconnect()
        if process is not None and not await asyncio.to_thread(process.wait, STOP_SECONDS):
            process.kill()
            await asyncio.to_thread(process.wait, STOP_SECONDS)
            kill_all_leftovers(self._process_file)
        for path in (self._process_file, standby_file(self._process_file)):
            with contextlib.suppress(OSError):
                path.unlink()
        for descriptor in self._kept.values():
            os.close(descriptor)
        self._kept.clear()
        if self._owns_lifeline and self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None

    async def _send_end(self) -> None:
        self.request({"end": True})
        while self._control is not None and (self._pending or self._outgoing):  # noqa: ASYNC110 - the socket's writer
            await asyncio.sleep(_LOOK_SECONDS)

    async def spawn(
        self, spec: ProcessSpec, stdin: int, stdout: int, stderr: int, *, ends: Ends | None = None
    ) -> Spawned:
        """Start a process with these descriptors (still to be closed by the caller). Raises `SpawnError`.

        Waits a while for a zygote that is being replaced. A container's main process that was asked for when the zygote
        died is asked for again: it is not the container's fault.
        """
        descriptors, ends = (stdin, stdout, stderr), ends or Ends()
        for _ in range(TRIES - 1 if spec.main else 0):
            with contextlib.suppress(StarterLost):
                return await self._ask(spec, descriptors, ends)
        return await self._ask(spec, descriptors, ends)

    async def _ask(self, spec: ProcessSpec, descriptors: tuple[int, int, int], ends: Ends) -> Spawned:
        await self._back()
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
            "note": spec.note,
            "log": str(spec.log or ""),
            "streams": list(ends.streams.values()),
            "input": ends.input >= 0,
        }
        # The caller may close its descriptors before the message has left.
        self.request(message, [os.dup(descriptor) for descriptor in (*descriptors, *ends.descriptors)])
        return await started

    async def _back(self) -> None:
        """Wait a while for a zygote that is being replaced; return in the moment in which one is there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPLACEMENT_SECONDS):
                # One that has come may have died before the news of it has reached us.
                while not self._stopped and not self._up.is_set():
                    await self._up.wait()

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
        elif "flushed" in message:
            flushed = self._flushing.pop(message["flushed"])
            if not flushed.done():
                flushed.set_result(None)
        elif "exited" in message:
            exited = self._running.pop(message["exited"], None)
            if exited is not None and not exited.done():
                exited.set_result(message["status"])

    def _begun(self, future: asyncio.Future[Spawned], message: dict[str, Any]) -> None:
        if "pid" not in message:
            if not future.done():
                future.set_exception(SpawnError(f"cannot start a process: {message['error']}"))
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
            process.wait(STOP_SECONDS)
        kill_leftovers(self._process_file)
        if died is not None and not self._stopped:
            log.warning("the zygote ended; all containers ended with it")
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
                future.set_exception(StarterLost("the process starter ended"))
        for exited in self._running.values():
            if not exited.done():
                exited.set_result(-signal.SIGKILL)
        for flushed in self._flushing.values():
            if not flushed.done():
                flushed.set_result(None)
        self._starting.clear()
        self._running.clear()
        self._flushing.clear()
