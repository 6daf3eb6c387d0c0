"""Runs a Python command line (``python -m MODULE``, ``python SCRIPT``, ``python -c CODE``) in this process.

Used warm, in a process forked by the zygote, and cold by ``python -m meshdojo.kubelet.runner``.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import io
import os
import signal
import sys
import threading
import traceback
import types
from dataclasses import dataclass
from typing import Any, Literal

_SWITCHES = "uBOEsSIbvqdP"  # single letters that change nothing that matters here
_WITH_VALUE = "WX"


@dataclass(frozen=True)
class Program:
    """What to run: a module's name, a script's path ('-' for standard input) or code; and the arguments after it."""

    kind: Literal["module", "script", "code"]
    target: str
    arguments: tuple[str, ...] = ()
    unbuffered: bool = False


def is_python(name: str) -> bool:
    """Whether argv[0] names a Python interpreter: python, python3, python3.11, with or without a directory."""
    base = os.path.basename(name)
    return base == "python" or (base.startswith("python3") and base[7:].replace(".", "").isdigit()) or base == "python3"


def parse(argv: list[str]) -> Program | None:
    """The program of a Python command line, None when the real interpreter is needed (``-V``, ``-i``, no program)."""
    position, unbuffered = 1, False
    while position < len(argv):
        word = argv[position]
        if word in ("-m", "-c"):
            rest = argv[position + 1 :]
            if not rest:
                return None
            return Program("module" if word == "-m" else "code", rest[0], tuple(rest[1:]), unbuffered)
        if not word.startswith("-") or word == "-":
            return Program("script", word, tuple(argv[position + 1 :]), unbuffered)
        if word[1] in _WITH_VALUE:
            position += 1 if len(word) > 2 else 2
        elif word[1:].strip(_SWITCHES):
            return None
        else:
            unbuffered = unbuffered or "u" in word
            position += 1
    return None


def run(program: Program, path: list[str]) -> int:
    """Run to the end and return the exit status. `path` goes before the interpreter's own ``sys.path``."""
    _standard_streams(program.unbuffered or bool(os.environ.get("PYTHONUNBUFFERED")))
    extra = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry]
    sys.path[:0] = [entry for entry in path + extra if entry not in sys.path]
    gc.enable()
    try:
        _execute(program)
        status = 0
    except SystemExit as error:
        status = _status(error.code)
    except KeyboardInterrupt as error:
        _report(error)
        status = 128 + signal.SIGINT
    except BaseException as error:
        _report(error)
        status = 1
    return _finish(status)


def _execute(program: Program) -> None:
    main: Any = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["-c", *program.arguments]
    if program.kind == "module":
        sys.path.insert(0, os.getcwd())
        code: Any = _load_module(program, main)
    elif program.kind == "code":
        sys.path.insert(0, "")
        code = compile(program.target, "<string>", "exec")
    else:
        code = _load_script(program, main)
    exec(code, main.__dict__)  # noqa: S102 - to run the program of a container is what this is for


def _load_module(program: Program, main: Any) -> Any:
    name = program.target
    sys.argv[0] = "-m"
    spec = _find(name)
    if spec is not None and spec.submodule_search_locations is not None:
        package, name = name, name + ".__main__"
        spec = _find(name)
        if spec is None:
            raise SystemExit(
                f"{sys.executable}: No module named {name}; {package!r} is a package and cannot be directly executed"
            )
    loader: Any = spec.loader if spec is not None else None
    code = loader.get_code(name) if loader is not None else None
    if spec is None or code is None:
        raise SystemExit(f"{sys.executable}: No module named {name}")
    sys.argv[0] = spec.origin or name
    main.__file__, main.__loader__, main.__package__, main.__spec__ = spec.origin, loader, spec.parent, spec
    return code


def _find(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            return None
        raise


def _load_script(program: Program, main: Any) -> Any:
    sys.argv[0] = program.target
    if program.target == "-":
        sys.path.insert(0, "")
        return compile(sys.stdin.read(), "<stdin>", "exec")
    try:
        with open(program.target, "rb") as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(
            f"{sys.executable}: can't open file {os.path.abspath(program.target)!r}: "
            f"[Errno {error.errno}] {error.strerror}\n"
        )
        raise SystemExit(2) from None
    sys.path.insert(0, os.path.dirname(os.path.abspath(program.target)))
    main.__file__ = program.target
    return compile(source, program.target, "exec")


def _standard_streams(unbuffered: bool) -> None:
    """Fresh text streams on descriptors 0 to 2: those of the warm process belong to another file."""
    streams: Any = sys
    streams.stdin = streams.__stdin__ = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, "r", closefd=False)), encoding="utf-8"
    )
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        raw = io.FileIO(descriptor, "w", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding="utf-8",
            errors="backslashreplace" if name == "stderr" else "strict",
            line_buffering=name == "stderr" or raw.isatty(),
            write_through=unbuffered,
        )
        if unbuffered:
            stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _report(error: BaseException) -> None:
    """The traceback as the interpreter prints it, without the frames of this module."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except Exception:
        traceback.print_exc()


def _finish(status: int) -> int:
    """What the interpreter does at its end: wait for threads, call exit functions, flush."""
    shutdown: Any = getattr(threading, "_shutdown", None)
    exit_functions: Any = getattr(atexit, "_run_exitfuncs", None)
    for step in (shutdown, exit_functions, sys.stdout.flush, sys.stderr.flush):
        try:
            if step is not None:
                step()
        except BrokenPipeError:
            status = status or 120
        except Exception:
            traceback.print_exc()
    return status
