"""The zygote: a warm, single-threaded process that forks every process of every pod.

``python -m meshdojo.kubelet.zygote DESCRIPTOR PROCESS_FILE MODULE,… MODULE,…``, started by `meshdojo.kubelet.spawn`,
with the modules to import before anything else, and those to import one by one when there is nothing to do.
Requests come over the control socket (`frames`):

* ``{"start": id, "argv": [...], "env": {...}, "cwd": str, "path": [...], "container": str, "main": bool, "tty": bool,
  "title": str, "limits": {...}}`` with the three standard descriptors -> ``{"started": id, "pid": pid}`` or
  ``{"started": id, "error": text}``;
* ``{"signal": number, "pid": pid, "group": bool}``, no answer; a process that is gone is ignored.

``{"exited": pid, "status": code}`` is sent as soon as a process ends (code -N: ended by signal N). When a container's
main process ends, all its others are killed. When the control socket closes, so is everything, and the zygote ends.

Forking a process with threads is unsafe, and PDEATHSIG follows the forking thread: hence a program of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
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

from meshdojo.kubelet import frames, runner
from meshdojo.kubelet.processes import MARK, ProcessFile
from meshdojo.kubelet.runner import programs

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)
_TIOCSCTTY = 0x540E
# So long without a request: time to import what somebody will need later.
_IDLE_MILLISECONDS = 150


@dataclass
class Child:
    """A process that was started on request. `container` '' is none."""

    pid: int
    container: str
    main: bool


class Zygote:
    """The loop: requests in, forks, exits out."""

    def __init__(self, control: socket.socket, process_file: Path, later: Sequence[str] = ()) -> None:
        self._control = control
        self._later = list(later)
        self._file = ProcessFile(process_file)
        self._mark = os.environ.get(MARK, "")
        self._children: dict[int, Child] = {}
        self._lingering: dict[int, Child] = {}
        self._wake, self._woken = os.pipe()

    def run(self) -> None:
        """Serve until the control socket closes; then leave nothing behind."""
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for descriptor in (self._wake, self._woken):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._file.begin(self._mark, [os.getpid()])
        try:
            self._serve()
        finally:
            self._kill_all()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_IDLE_MILLISECONDS if self._later else None)}
            if not ready:
                _preload([self._later.pop(0)])
                _freeze()
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()
            if self._control.fileno() in ready:
                request = frames.receive(self._control)
                if request is None:
                    return
                self._handle(*request)

    def _handle(self, request: dict[str, Any], descriptors: list[int]) -> None:
        if "start" in request:
            self._start(request, descriptors)
        elif "signal" in request:
            self._signal(request["pid"], request["signal"], request["group"])
        for descriptor in descriptors:
            os.close(descriptor)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._send({"started": request["start"], "error": error.strerror})
            return
        if pid == 0:
            self._become(request, descriptors)
        self._children[pid] = Child(pid, request.get("container", ""), bool(request.get("main")))
        self._send({"started": request["start"], "pid": pid})
        self._file.add(self._mark, pid, [os.getpid(), *self._children])

    def _become(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """In the child: never returns."""
        status = 1
        try:
            parent = os.getppid()
            signal.set_wakeup_fd(-1)
            _reset_signals()
            os.setsid()
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent or parent == 1:
                os._exit(1)  # the zygote died in between
            # The mark lets a later start find also what a program starts itself.
            request["env"] = {**request["env"], MARK: self._mark}
            status = _run(request, descriptors)
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
            if self._children.pop(found.si_pid, None) is not None:
                self._send({"exited": found.si_pid, "status": os.waitstatus_to_exitcode(status)})

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

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the kubelet is gone: the end of the stream is noticed next
            self._control.sendall(b"".join(frames.encode(message)))

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
                return
            self._children.pop(pid, None)


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


def _reset_signals() -> None:
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _run(request: dict[str, Any], descriptors: list[int]) -> int:
    """In the child, after fork: set up the process and be the program; the exit status if it returns."""
    _take_descriptors(descriptors)
    if request.get("tty"):
        import fcntl

        fcntl.ioctl(0, _TIOCSCTTY, 0)
    environment: dict[str, str] = request["env"]
    os.environ.clear()
    os.environ.update(environment)
    os.umask(0o022)
    _limit(request.get("limits") or {})
    try:
        os.chdir(request["cwd"])
    except OSError as error:
        os.write(2, f"{request['cwd']}: {error.strerror}\n".encode())
        return 126
    argv: list[str] = request["argv"]
    program = programs.parse(argv) if programs.is_python(argv[0]) else None
    if program is None:
        return _execute(argv, environment)
    _name(argv, request.get("title", ""))
    _show_environment(environment)
    # Python's own behaviour: an interrupt is an exception, writing to a closed pipe an error.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    runner.activate()
    return programs.run(program, request.get("path") or [])


def _take_descriptors(descriptors: list[int]) -> None:
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    os.closerange(3, max(64, *descriptors) + 64)


def _limit(limits: dict[str, int]) -> None:
    """Resource limits by the names of the `resource` module, without RLIMIT_."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        hard = resource.getrlimit(number)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (bound, hard))


def _execute(argv: list[str], environment: dict[str, str]) -> int:
    try:
        os.execvpe(argv[0], argv, environment)
    except FileNotFoundError:
        os.write(2, f"{argv[0]}: not found\n".encode())
        return 127
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return 126


def _name(argv: list[str], title: str) -> None:
    """Show the program in ``ps`` and ``top``, in place of the zygote's command line."""
    with contextlib.suppress(Exception):
        _LIBC.prctl(_PR_SET_NAME, (title or os.path.basename(argv[-1])).encode()[:15], 0, 0, 0)
        fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49
        if 0 < start < end:
            text = " ".join(argv).encode()[: end - start - 1]
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, text, len(text))


def _show_environment(environment: dict[str, str]) -> None:
    """Show in /proc/PID/environ what tells processes of containers apart, in place of the zygote's own environment.

    Nobody points into that memory any more: `os.environ` was emptied, which took every variable out of it.
    """
    with contextlib.suppress(Exception):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
        start, end = int(fields[47]), int(fields[48])  # env_start and env_end: fields 50 and 51
        text = b"".join(f"{name}={environment.get(name, '')}\0".encode() for name in (MARK, "MESHDOJO_ROOT"))
        if start > 0 and len(text) < end - start:
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, text, len(text))


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


def main() -> None:
    """The program."""
    descriptor, process_file, modules, later = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    gc.disable()
    runner.install()
    _preload([module for module in modules.split(",") if module])
    # OpenSSL's own start costs each process that makes a TLS context (every httpx client does) 3 MB, unless done here.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _freeze()
    control = socket.socket(fileno=descriptor)
    control.setblocking(True)
    os.set_inheritable(descriptor, False)
    Zygote(control, process_file, [module for module in later.split(",") if module]).run()


if __name__ == "__main__":
    main()
