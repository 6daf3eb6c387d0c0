"""The file that holds what one run of a container prints.

A line of it is ``TIME STREAM TAG TEXT`` as container runtimes write it (CRI): TIME in RFC 3339 with nanoseconds, STREAM
stdout or stderr, TAG F for a full line and P for one that goes on in the next. A file that has grown to `MAXIMUM_BYTES`
is kept as ``.1`` and begun anew. `logs` reads it.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

log = logging.getLogger(__name__)
MAXIMUM_BYTES = 10 * 1024 * 1024
_LONGEST_LINE = 16 * 1024


def now() -> str:
    """The present time, RFC 3339 with nanoseconds, in UTC."""
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000:09d}Z"


class LogFile:
    """Takes the output of one run, piece by piece. Raises OSError when the file cannot be opened, and never later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        self._size = self._file.tell()
        self._losing = False
        self._rest = {"stdout": b"", "stderr": b""}

    def take(self, stream: str, data: bytes) -> None:
        """`data` was printed: its full lines are written, what is left of it with the next piece."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        if lines:
            self._append(stream, lines, b"F")
        while len(rest) > _LONGEST_LINE:
            self._append(stream, [rest[:_LONGEST_LINE]], b"P")
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest

    def close(self) -> None:
        """Nothing more comes: a line without an end is one all the same."""
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, [rest], b"F")
        self.drop()

    def drop(self) -> None:
        """Nothing more comes from here: in a copy of the process."""
        self._rest = {"stdout": b"", "stderr": b""}
        self._file.close()

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
