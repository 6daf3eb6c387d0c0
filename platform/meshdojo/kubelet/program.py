"""What a process that the zygote has forked does to become the program that was asked for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Any

from meshdojo.kubelet import runner
from meshdojo.kubelet.processes import MARK
from meshdojo.kubelet.runner import programs

_PR_SET_NAME = 15  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)
_TIOCSCTTY = 0x540E


def reset_signals() -> None:
    """In the child: signals do what they do in any new process."""
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run(request: dict[str, Any], descriptors: list[int]) -> int:
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
    show(argv, environment, request.get("title", ""))
    # Python's own behaviour: an interrupt is an exception, writing to a closed pipe an error.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    runner.activate()
    return programs.run(program, request.get("path") or [])


def _take_descriptors(descriptors: list[int]) -> None:
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    # Nothing else of the zygote's is this process': neither sockets nor others' logs.
    try:
        last = max(map(int, os.listdir("/proc/self/fd")))
    except OSError:
        last = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, last + 1)


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


def show(argv: list[str], environment: dict[str, str], title: str = "") -> None:
    """Be seen in ``ps`` and ``top`` as this program. `os.environ` has been made anew (see `_show_environment`)."""
    _name(argv, title)
    _show_environment(environment)


def _name(argv: list[str], title: str) -> None:
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
