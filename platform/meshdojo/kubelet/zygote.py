"""The zygote: a warm, single-threaded process that forks every process of every pod.

``python -m meshdojo.kubelet.zygote CONTROL LIFELINE PROCESS_FILE MODULE,… MODULE,…``, started by
`meshdojo.kubelet.spawn`, with two descriptors, the modules to import before anything else, and those to import one by
one when there is nothing to do. Requests come over the control socket (`frames`):

* ``{"start": id, "argv": [...], "env": {...}, "cwd": str, "path": [...], "container": str, "main": bool, "tty": bool,
  "title": str, "limits": {...}, "note": {...}, "log": path, "streams": [...], "input": bool}`` with the three standard
  descriptors -> ``{"started": id, "pid": pid}`` or ``{"started": id, "error": text}``. With a log (of a main process
  only) come further descriptors: the reading ends of the streams, and a bell (see `outputs`); with an input the
  writing end of the process' standard input;
* ``{"signal": number, "pid": pid, "group": bool}``; a process that is gone is ignored;
* ``{"watch": container}`` with another bell; ``{"listen": container}`` with two descriptors that get its stdout and
  stderr from now on; ``{"end_input": container}``: nothing more comes there;
* ``{"flush": id, "of": container}`` -> ``{"flushed": id}``: what it has printed until now is in its log;
* ``{"keep": name}`` with a descriptor that is wanted again after a take-over;
* ``{"list": true}`` -> ``{"kept": name}`` with the descriptor for each of these, ``{"found": container, "pid": pid,
  "note": {...}, "status": code or null, "ended": time}`` with its input for the last run of each container, and
  ``{"listed": PROTOCOL}``;
* ``{"forget": container}``: nobody will ask for its last run any more;
* ``{"end": true}``: kill everything, and end.

``{"exited": pid, "status": code}`` is sent as soon as a process ends (code -N: ended by signal N). When a container's
main process ends, all its others are killed.

When the control socket closes, the kubelet is gone: what was started for its clients is killed, and the containers go
on, until another kubelet calls over the `lifeline` or that ends. Then everything is killed, and the zygote ends.

It forks a `standby`, which takes its place should it be killed, and another when it has imported what there was to.

Forking a process with threads is unsafe, and PDEATHSIG follows the forking thread: hence a program of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import importlib
import os
import resource
import select
import signal
import socket
import ssl
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from meshdojo.kubelet import frames, lifeline, program, runner, standby
from meshdojo.kubelet.outputs import Output
from meshdojo.kubelet.processes import MARK, ProcessFile, standby_file
from meshdojo.kubelet.standby import Standby
from meshdojo.kubernetes.timestamps import now

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)
# So long without a request: time to import what somebody will need later.
_IDLE_MILLISECONDS = 150
_STANDBY_SECONDS = 0.1
_FILES = 65536
_REQUESTS = 64


@dataclass
class Child:
    """A process that was started on request. `container` '' is none."""

    pid: int
    container: str
    main: bool


@dataclass
class Run:
    """What is kept of a container's main process, also when it has ended: a kubelet to come wants to know."""

    pid: int
    note: dict[str, Any]
    input: int = -1
    output: Output | None = None
    status: int | None = None
    ended: str = ""

    def end_input(self) -> None:
        """Nothing more comes there."""
        if self.input >= 0:
            os.close(self.input)
            self.input = -1

    def close(self) -> None:
        """Let go of all of it."""
        self.end_input()
        if self.output is not None:
            self.output.close()

    def drop(self) -> None:
        """In a copy of the process: it is the original's."""
        self.end_input()
        if self.output is not None:
            self.output.drop()


class Zygote:
    """The loop: requests in, forks, exits out, what the containers print into their logs."""

    def __init__(
        self, control: socket.socket, line: socket.socket, process_file: Path, later: Sequence[str] | None = None
    ) -> None:
        """`later`: modules still to be imported; None in one that was a standby, of which kubelets know."""
        self._control: socket.socket | None = control
        self._line = line
        self._later = list(later or ())
        self._was_standby = later is None
        self._path = process_file
        self._file = ProcessFile(process_file)
        self._mark = os.environ.get(MARK, "")
        self._children: dict[int, Child] = {}
        self._lingering: dict[int, Child] = {}
        self._runs: dict[str, Run] = {}
        self._printing: dict[int, Output] = {}
        self._kept: dict[str, int] = {}
        self._ending = False
        self._at_leisure = False
        self._standby = 0  # a pid
        self._forked = 0.0
        self._copy: Standby | None = None
        self._wake, self._woken = os.pipe()
        self._poll = select.poll()

    def run(self) -> Standby | None:
        """Serve until nobody wants it any more, then leave nothing behind. In a copy of it: what that is, at once."""
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for descriptor in (self._wake, self._woken):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._file.begin(self._mark, [os.getpid()])
        with contextlib.suppress(OSError):  # afterwards: one that was a standby is always in one of the two
            standby_file(self._path).unlink()
        assert self._control is not None
        for descriptor in (self._control.fileno(), self._line.fileno(), self._wake):
            self._poll.register(descriptor, select.POLLIN)
        try:
            if self._was_standby:  # nobody has to wait for what it has imported
                self._fork_standby()
            while not (self._ending or self._copy):
                self._serve()
        finally:
            if self._copy is None:
                self._kill_all()
        return self._copy

    def _serve(self) -> None:
        """One turn of the loop."""
        ready = {descriptor for descriptor, _ in self._poll.poll(self._patience())}
        self._at_leisure = not ready
        if not ready:
            self._idle()
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        if self._copy is not None:
            return
        # Requests first: who asked to listen gets what was printed afterwards.
        if self._control is not None and self._control.fileno() in ready:
            self._obey()
        if self._line.fileno() in ready and not self._ending:
            self._called()
        for descriptor in ready & self._printing.keys():
            self._read(descriptor)
        for run in self._runs.values():
            if run.output is not None and run.output.deadline < time.monotonic():
                self._close(run)

    def _patience(self) -> float | None:
        """Milliseconds until something is to be done unasked; None: nothing."""
        deadlines = [run.output.deadline - time.monotonic() for run in self._runs.values() if run.output is not None]
        soonest = min(deadlines, default=float("inf"))
        if soonest < float("inf"):
            return max(0.0, soonest * 1000) + 1
        if self._later and self._at_leisure:
            return 0  # go on, unless there is a request now
        return _IDLE_MILLISECONDS if self._later or not self._standby else None

    def _idle(self) -> None:
        """Nothing is to be done now: get ready for later."""
        if not self._standby:
            self._fork_standby()
        elif self._later:
            self._import(1)

    def _import(self, count: int) -> None:
        """Import the next so many of the modules for later."""
        _preload(self._later[:count])
        _freeze()
        del self._later[:count]
        if not self._later and self._standby > 0:
            os.kill(self._standby, signal.SIGKILL)  # it has not been reaped; another is forked that knows it all

    def _fork_standby(self) -> None:
        try:
            self._forked = time.monotonic()
            forked = standby.fork(self._line, self._path)
        except OSError as error:
            sys.stderr.write(f"zygote: no standby: {error}\n")
            self._standby = -1
            return
        if isinstance(forked, Standby):
            self._copy = forked
            self._drop()
        else:
            self._standby = forked

    def _drop(self) -> None:
        """In a copy: nothing but the lifeline is its own."""
        for run in self._runs.values():
            run.drop()
        self._runs.clear()
        if self._control is not None:
            self._control.close()
        for descriptor in (self._wake, self._woken, *self._kept.values()):
            os.close(descriptor)

    # The kubelet

    def _obey(self) -> None:
        """Carry out the requests that are there, as long as they do not keep everything else waiting."""
        for _ in range(_REQUESTS):
            if self._control is None or not frames.ready(self._control, 0):
                return
            request = frames.receive(self._control)
            if request is None:
                self._left()
                return
            self._handle(*request)

    def _left(self) -> None:
        """The kubelet has gone, and with it everybody whom it served."""
        if self._control is not None:
            self._poll.unregister(self._control.fileno())
            self._control.close()
            self._control = None
        for child in self._children.values():
            if not child.main:
                _kill_group(child.pid)
        for run in self._runs.values():
            if run.output is not None:
                run.output.deafen()
        # One that was starting when its kubelet died has nothing that another would want.
        self._ending = self._ending or not (self._runs or self._was_standby)

    def _called(self) -> None:
        """Another kubelet takes over, or there will be none."""
        control = lifeline.answer(self._line)
        if control is None:
            self._ending = True
            return
        # The one before is gone. What it had still asked for is done.
        while self._control is not None and frames.ready(self._control, 0):
            self._obey()
        if self._control is not None:
            self._left()
        if self._ending:
            control.close()
            return
        self._control = control
        self._poll.register(control.fileno(), select.POLLIN)

    def _handle(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            self._carry_out(request, descriptors)
        except OSError as error:  # no descriptor is left, say: everything else goes on
            sys.stderr.write(f"zygote: {error}\n")
        for descriptor in descriptors:
            os.close(descriptor)

    def _carry_out(self, request: dict[str, Any], descriptors: list[int]) -> None:
        match request:
            case {"start": _}:
                self._start(request, descriptors)
            case {"signal": number, "pid": pid, "group": group}:
                self._signal(pid, number, group)
            case {"watch": container} if descriptors:
                self._watch(container, descriptors)
            case {"listen": container} if len(descriptors) == 2:
                self._listen(container, descriptors)
            case {"flush": number, "of": container}:
                self._flush(container)
                self._send({"flushed": number})
            case {"end_input": container} if container in self._runs:
                self._runs[container].end_input()
            case {"keep": name} if descriptors:
                self._keep(name, os.dup(descriptors[0]))
            case {"list": _}:
                self._list()
            case {"forget": container} if container in self._runs:
                self._close(self._runs.pop(container))
            case {"end": _}:
                self._ending = True

    def _keep(self, name: str, descriptor: int) -> None:
        if name in self._kept:
            os.close(self._kept[name])
        self._kept[name] = descriptor

    def _list(self) -> None:
        for name, descriptor in self._kept.items():
            self._send({"kept": name}, [descriptor])
        for container, run in self._runs.items():
            found = {"found": container, "pid": run.pid, "note": run.note, "status": run.status, "ended": run.ended}
            self._send(found, [run.input] if run.input >= 0 else [])
        self._send({"listed": frames.PROTOCOL})

    # Processes

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        if not set(self._later).isdisjoint(request["argv"]):
            # Once here, rather than in this process and for the next one again.
            self._import(len(self._later))
        run = Run(0, request.get("note") or {})
        try:
            if len(descriptors) != _expected(request):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # the kernel could not pass them all
            rest = [os.dup(descriptor) for descriptor in descriptors[3:]]
            if request.get("input"):
                run.input = rest.pop()
            if rest:
                run.output = _output(request, rest)
            pid = os.fork()
        except OSError as error:
            run.close()
            self._send({"started": request["start"], "error": error.strerror})
            return
        if pid == 0:
            self._become(request, descriptors)
        child = Child(pid, request.get("container", ""), bool(request.get("main")))
        self._children[pid] = child
        if child.main and child.container:
            run.pid = pid
            self._begun(child.container, run)
        self._send({"started": request["start"], "pid": pid})
        self._file.add(self._mark, pid, [os.getpid(), *self._children])

    def _begun(self, container: str, run: Run) -> None:
        before = self._runs.pop(container, None)
        if before is not None:
            self._close(before)
        self._runs[container] = run
        if run.output is not None:
            for descriptor in run.output.descriptors:
                self._printing[descriptor] = run.output
                self._poll.register(descriptor, select.POLLIN)

    def _become(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """In the child: never returns."""
        status = 1
        try:
            parent = os.getppid()
            signal.set_wakeup_fd(-1)
            program.reset_signals()
            os.setsid()
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent or parent == 1:
                os._exit(1)  # the zygote died in between
            # The mark lets a later start find also what a program starts itself.
            request["env"] = {**request["env"], MARK: self._mark}
            status = program.run(request, descriptors)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _signal(self, pid: int, number: int, group: bool) -> None:
        if pid in self._children:  # not reaped yet, so the pid is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(pid, number)

    def _reap(self) -> None:
        """Report and bury the dead. A container's other processes die before its main one is buried."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            child = self._children.get(found.si_pid)
            if child is not None:
                self._end(child)
            _, status = os.waitpid(found.si_pid, 0)
            if found.si_pid == self._standby:
                self._standby = 0
                # At once, since it may be needed next; but one that cannot live is left until there is time.
                if time.monotonic() - self._forked > _STANDBY_SECONDS and not self._later:
                    self._fork_standby()
            if self._children.pop(found.si_pid, None) is not None:
                code = os.waitstatus_to_exitcode(status)
                if child is not None and child.main:
                    self._ended(child, code)
                self._send({"exited": found.si_pid, "status": code})

    def _end(self, child: Child) -> None:
        if not child.main:
            self._lingering[child.pid] = child
            return
        _kill_group(child.pid)
        for other in self._children.values():
            if other.container == child.container and other.pid != child.pid:
                _kill_group(other.pid)
        groups = {pid for pid, other in self._lingering.items() if other.container == child.container}
        for orphan in _own_children() if groups else ():
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(orphan) in groups:
                    os.kill(orphan, signal.SIGKILL)
        for pid in groups:
            del self._lingering[pid]

    def _ended(self, child: Child, code: int) -> None:
        run = self._runs.get(child.container)
        if run is None or run.pid != child.pid:
            return
        run.status, run.ended = code, now()
        run.end_input()
        if run.output is not None:
            for descriptor in list(run.output.descriptors):
                self._read(descriptor)
            run.output.ended()

    # What they print

    def _read(self, descriptor: int) -> None:
        output = self._printing[descriptor]
        if not output.readable(descriptor):
            del self._printing[descriptor]
            self._poll.unregister(descriptor)

    def _close(self, run: Run) -> None:
        for descriptor in run.output.descriptors if run.output is not None else ():
            del self._printing[descriptor]
            self._poll.unregister(descriptor)
        run.close()

    def _flush(self, container: str) -> None:
        run = self._runs.get(container)
        for descriptor in list(run.output.descriptors) if run is not None and run.output is not None else ():
            self._read(descriptor)  # a batch is all that a pipe holds

    def _watch(self, container: str, descriptors: list[int]) -> None:
        run = self._runs.get(container)
        if run is not None and run.output is not None:
            run.output.watch(os.dup(descriptors[0]))

    def _listen(self, container: str, descriptors: list[int]) -> None:
        run = self._runs.get(container)
        if run is not None and run.output is not None:
            out, err = map(os.dup, descriptors)
            run.output.listen({"stdout": out, "stderr": err})

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        if self._control is None:
            return
        with contextlib.suppress(OSError):  # the kubelet is gone: the end of the stream is noticed next
            data = b"".join(frames.encode(message))
            sent = self._control.sendmsg([data], frames.rights(list(descriptors)))
            self._control.sendall(data[sent:])

    def _kill_all(self) -> None:
        """Kill all descendants: as subreaper, the zygote inherits those whose parents died."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for pid in self._children:
                _kill_group(pid)
            orphans = _own_children()
            for pid in orphans:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                pid, _ = os.waitpid(-1, 0 if self._children or orphans else os.WNOHANG)
            except ChildProcessError:
                break
            self._children.pop(pid, None)
        for run in self._runs.values():
            run.close()


def _expected(request: dict[str, Any]) -> int:
    """How many descriptors come with a request to start something."""
    streams = len(request.get("streams") or ())
    return 3 + (streams + 1 if streams else 0) + bool(request.get("input"))


def _output(request: dict[str, Any], descriptors: list[int]) -> Output:
    """Where a process prints to; the descriptors are those of its streams, and the bell."""
    *ends, bell = descriptors
    try:
        return Output(Path(request["log"]), dict(zip(ends, request["streams"], strict=True)), bell)
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _own_children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _preload(modules: list[str]) -> None:
    """Import what the apps use. A module that is missing only makes its users start more slowly."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            sys.stderr.write(f"zygote: cannot preload {module}: {error}\n")


def _freeze() -> None:
    """What is there now is shared by all children: no collection of garbage may touch it."""
    gc.collect()
    gc.freeze()


def _allow_many_files() -> None:
    """Every container has two pipes, a log and a bell open here: take all that the user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _inherited(descriptor: str) -> socket.socket:
    found = socket.socket(fileno=int(descriptor))
    found.setblocking(True)
    found.set_inheritable(False)
    return found


def main() -> None:
    """The program."""
    control, line, process_file, modules, later = sys.argv[1:6]
    gc.disable()
    _allow_many_files()
    runner.install()
    _preload([module for module in modules.split(",") if module])
    # OpenSSL's own start costs each process that makes a TLS context (every httpx client does) 3 MB, unless done here.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _freeze()
    rest = [module for module in later.split(",") if module]
    held, path = _inherited(line), Path(process_file)
    copy = Zygote(_inherited(control), held, path, rest).run()
    while copy is not None and (called := copy.called()) is not None:
        copy = Zygote(called, held, path).run()


if __name__ == "__main__":
    main()
