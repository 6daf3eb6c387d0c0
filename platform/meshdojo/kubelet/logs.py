"""The logs of containers: reads the files that `logfile` writes, and follows them.

They are written in the zygote (`outputs`), which rings a bell for every piece that comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from meshdojo.kubernetes.node import LogOptions


class RunLog:
    """The log of one run, as the kubelet sees it: wakes those who follow it.

    `bell` is the end that whoever writes the log rings; it is closed with `handed_on`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        self._hearing, self.bell = os.pipe()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        os.set_blocking(self._hearing, False)
        asyncio.get_running_loop().add_reader(self._hearing, self._heard)

    def handed_on(self) -> None:
        """Another process has the bell now."""
        if self.bell >= 0:
            os.close(self.bell)
            self.bell = -1

    async def drained(self, seconds: float) -> None:
        """Wait until all that was printed is in the log, but not longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def close(self) -> None:
        """Nothing more comes; followers get their end."""
        self.handed_on()
        if self._hearing >= 0:
            asyncio.get_running_loop().remove_reader(self._hearing)
            os.close(self._hearing)
            self._hearing = -1
        self.closed = True
        self._ended.set()
        self._wake()

    def tail(self, size: int = 2048) -> str:
        """The end of the log as text, for the termination message."""
        lines = [_shown(line, False) for line in self.path.read_bytes().splitlines(keepends=True)[-80:]]
        return b"".join(lines)[-size:].decode(errors="replace")

    @property
    def change(self) -> asyncio.Event:
        """Set by the next output, or the end. Take it before looking at the file."""
        return self._changed

    def _heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(self._hearing, 65536):
                self.close()
                return
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def read(path: Path, writer: RunLog | None, options: LogOptions) -> AsyncIterator[bytes]:
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


async def _lines(path: Path, writer: RunLog | None, options: LogOptions) -> AsyncIterator[bytes]:
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


async def _following(file: BinaryIO, path: Path, writer: RunLog) -> AsyncIterator[bytes]:
    with contextlib.ExitStack() as opened:
        while True:
            ended, change = writer.closed, writer.change
            for line in _whole(file):
                yield line
            fresh = _rotated(file, path)
            if fresh is not None:
                for line in _whole(file):  # what came before the other took its place
                    yield line
                file = opened.enter_context(fresh)
            elif ended:
                return
            else:
                await change.wait()


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
