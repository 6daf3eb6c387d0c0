"""The logs of containers: what a process writes to stdout and stderr, with times, in one file per run.

A line of the file is ``TIME STREAM TAG TEXT`` as container runtimes write it (CRI): TIME in RFC 3339 with nanoseconds,
STREAM stdout or stderr, TAG F for a full line and P for one that goes on in the next. A file that has grown to
`MAXIMUM_BYTES` is kept as ``.1`` and begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from meshdojo.kubernetes.node import LogOptions

log = logging.getLogger(__name__)
MAXIMUM_BYTES = 10 * 1024 * 1024
_LONGEST_LINE = 16 * 1024
_BATCH = 64 * 1024
_LONGEST_BACKLOG = 256  # chunks


def now() -> str:
    """The present time, RFC 3339 with nanoseconds, in UTC."""
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000:09d}Z"


class Listener:
    """The output of a run from now on, as it comes: by stream, chunk after chunk, None at the end.

    Who does not take what comes loses the newest of it, so that nobody's slowness costs memory.
    """

    def __init__(self) -> None:
        self.streams: dict[str, asyncio.Queue[bytes | None]] = {"stdout": asyncio.Queue(), "stderr": asyncio.Queue()}

    def tell(self, stream: str, data: bytes) -> None:
        """Called by the log for each chunk."""
        if self.streams[stream].qsize() < _LONGEST_BACKLOG:
            self.streams[stream].put_nowait(data)

    def end(self) -> None:
        """Called by the log at its end."""
        for queue in self.streams.values():
            queue.put_nowait(None)


class LogWriter:
    """Takes the output of one run of a container, and wakes those who follow it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file = _open(path)
        self._size = self._file.tell()
        self._losing = False
        self._changed = asyncio.Event()
        self._rest = {"stdout": b"", "stderr": b""}
        self._open: dict[int, str] = {}
        self._ended = asyncio.Event()
        self._listeners: set[Listener] = set()

    def attach(self, descriptor: int, stream: str) -> None:
        """Read `descriptor` (a pipe's end) to its end; it is closed then."""
        os.set_blocking(descriptor, False)
        self._open[descriptor] = stream
        asyncio.get_running_loop().add_reader(descriptor, self._readable, descriptor)

    def listen(self) -> Listener:
        """The output from now on; `forget` it when done."""
        listener = Listener()
        self._listeners.add(listener)
        if self.closed:
            listener.end()
        return listener

    def forget(self, listener: Listener) -> None:
        """Tell it nothing more."""
        self._listeners.discard(listener)

    async def drained(self, seconds: float) -> None:
        """Wait until all that was written has been read: until the pipes are closed, but not longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def close(self) -> None:
        """End the log; followers get their end."""
        for descriptor in list(self._open):
            self._readable(descriptor)
        for descriptor in list(self._open):
            self._drop(descriptor)
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, [rest], b"F")
        self._rest = {"stdout": b"", "stderr": b""}
        self.closed = True
        for listener in self._listeners:
            listener.end()
        self._file.close()
        self._changed.set()

    def tail(self, size: int = 2048) -> str:
        """The end of the log as text, for the termination message."""
        lines = [_shown(line, False) for line in self.path.read_bytes().splitlines(keepends=True)[-80:]]
        return b"".join(lines)[-size:].decode(errors="replace")

    @property
    def change(self) -> asyncio.Event:
        """Set by the next output, or the end. Take it before looking at the file."""
        return self._changed

    def _readable(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _BATCH)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(descriptor)
            return
        for listener in self._listeners:
            listener.tell(self._open[descriptor], data)
        self._take(self._open[descriptor], data)

    def _drop(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        del self._open[descriptor]
        os.close(descriptor)
        if not self._open:
            self._ended.set()

    def _take(self, stream: str, data: bytes) -> None:
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        if lines:
            self._append(stream, lines, b"F")
        while len(rest) > _LONGEST_LINE:
            self._append(stream, [rest[:_LONGEST_LINE]], b"P")
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest

    def _append(self, stream: str, lines: list[bytes], tag: bytes) -> None:
        head = f"{now()} {stream} ".encode() + tag + b" "
        text = b"".join(head + line + b"\n" for line in lines)
        try:
            if self._size > MAXIMUM_BYTES:
                self._rotate()
            self._write(text)
            self._losing = False
        except OSError as error:  # a full disk: the output is lost, the container goes on
            if not self._losing:
                log.warning("%s: output is lost: %s", self.path, error)
            self._losing = True
        self._changed.set()
        self._changed = asyncio.Event()

    def _write(self, text: bytes) -> None:
        """All of it, or nothing: half a line would spoil the next one."""
        view = memoryview(text)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(text)

    def _rotate(self) -> None:
        self.path.replace(self.path.with_suffix(".1"))
        fresh = _open(self.path)
        self._file.close()
        self._file, self._size = fresh, 0


def _open(path: Path) -> FileIO:
    # Without a buffer: what could not be written must not come again with the next line.
    return open(path, "ab", buffering=0)


async def read(path: Path, writer: LogWriter | None, options: LogOptions) -> AsyncIterator[bytes]:
    """The lines of a log as `options` ask for them; with `follow`, until `writer` closes."""
    left = options.limit_bytes
    async for line in _lines(path, writer, options):
        text = _shown(line, options.timestamps)
        if left is not None:
            text = text[:left]
            left -= len(text)
        yield text
        if left == 0:
            return


async def _lines(path: Path, writer: LogWriter | None, options: LogOptions) -> AsyncIterator[bytes]:
    since = _since(options)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        existing: Iterator[bytes] = (line for line in _whole(file) if not since or line[: len(since)] >= since)
        if options.tail_lines is not None:
            existing = iter(deque(existing, maxlen=options.tail_lines))
        for line in existing:
            yield line
        if not options.follow or writer is None:
            return
        async for line in _following(file, path, writer):
            yield line


async def _following(file: BinaryIO, path: Path, writer: LogWriter) -> AsyncIterator[bytes]:
    with contextlib.ExitStack() as opened:
        while True:
            ended, change = writer.closed, writer.change
            for line in _whole(file):
                yield line
            if ended:
                return
            fresh = _rotated(file, path)
            if fresh is None:
                await change.wait()
            else:
                file = opened.enter_context(fresh)


def _rotated(file: BinaryIO, path: Path) -> BinaryIO | None:
    """The file that took the place of `file`, if one did."""
    try:
        fresh = path.open("rb")
    except FileNotFoundError:  # the pod has been deleted
        return None
    if os.fstat(file.fileno()).st_ino != os.fstat(fresh.fileno()).st_ino:
        return fresh
    fresh.close()
    return None


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Complete lines from the present position on."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(start)
            return
        yield line


def _shown(line: bytes, timestamps: bool) -> bytes:
    moment, _, tag, text = line.split(b" ", 3)
    if tag == b"P":
        text = text[:-1]
    return moment + b" " + text if timestamps else text


def _since(options: LogOptions) -> bytes:
    """The earliest time wanted, in a form that compares as text."""
    if options.since_seconds is not None:
        moment = datetime.fromtimestamp(time.time() - options.since_seconds, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}".encode()
    if options.since_time:
        moment = datetime.fromisoformat(options.since_time.replace("Z", "+00:00")).astimezone(UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}".encode()
    return b""
