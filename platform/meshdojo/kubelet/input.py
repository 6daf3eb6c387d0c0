"""`Input`: what goes into a process: a pipe, a terminal, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable

_END_OF_TRANSMISSION = b"\x04"


class Input:
    """Our end of a process' standard input; `descriptor` -1 for none. `close` closes it, and calls `closed`."""

    def __init__(
        self, descriptor: int = -1, *, terminal: bool = False, closed: Callable[[], None] | None = None
    ) -> None:
        self._descriptor = descriptor
        self._terminal = terminal
        self._closed = closed
        if descriptor >= 0:
            os.set_blocking(descriptor, False)

    async def write(self, data: bytes) -> None:
        """Pass `data` on, as fast as it is read; what the process no longer reads is dropped."""
        view = memoryview(data)
        with contextlib.suppress(OSError):
            while view and self._descriptor >= 0:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:
                    await ready(self._descriptor, reading=False)

    async def end(self) -> None:
        """Say that nothing comes any more: a terminal stays open for what the process prints."""
        if self._terminal:
            await self.write(_END_OF_TRANSMISSION)
        else:
            self.close()

    def resize(self, width: int, height: int) -> None:
        """The terminal has so many columns and rows; nothing happens where there is none."""
        if self._terminal and self._descriptor >= 0:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self._closed is not None:
                self._closed()


async def ready(descriptor: int, *, reading: bool) -> None:
    """Wait until something can be read from (or written to) a descriptor that does not block."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    (loop.add_reader if reading else loop.add_writer)(descriptor, wake)
    try:
        await done
    finally:
        (loop.remove_reader if reading else loop.remove_writer)(descriptor)
