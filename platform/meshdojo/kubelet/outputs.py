"""`Output`: in the zygote, what one run of a container prints: into its log, and to whoever listens.

It lives where the processes do and not in the kubelet, as container runtimes have it (conmon, containerd's shim):
while no kubelet is there, nothing that is printed is lost, and nobody who prints has to wait.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from meshdojo.kubelet.logfile import LogFile

_BATCH = 64 * 1024
# How long what a container's end has left behind may still print.
DRAIN_SECONDS = 2.0


class Output:
    """The output of one run. `streams` (descriptor -> stdout or stderr) and all descriptors become this object's.

    The bell is the writing end of a pipe: a byte in it says that there is more in the log, its end that this is all.
    Raises OSError, and owns nothing, when the log cannot be opened.
    """

    def __init__(self, path: Path, streams: Mapping[int, str], bell: int) -> None:
        self._log: LogFile | None = LogFile(path)
        self._streams = dict(streams)
        self._listeners: list[dict[str, int]] = []
        self._bell = -1
        self._deadline: float | None = None
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
        self.watch(bell)

    @property
    def descriptors(self) -> Iterable[int]:
        """Those to read from, as long as something may come."""
        return self._streams.keys()

    @property
    def closed(self) -> bool:
        """Whether this is all."""
        return self._log is None

    @property
    def deadline(self) -> float:
        """When it is closed, whoever may still print: monotonic, in seconds; infinity while the run goes on."""
        return float("inf") if self._deadline is None or self.closed else self._deadline

    def watch(self, bell: int) -> None:
        """From now on this bell is rung, and no other."""
        self._silence()
        if self.closed:
            os.close(bell)
            return
        self._bell = bell
        os.set_blocking(bell, False)
        self._ring()  # who comes late looks at once

    def listen(self, descriptors: Mapping[str, int]) -> None:
        """Write to these, too (stdout or stderr -> descriptor): who does not read in time loses the newest."""
        if self.closed:
            for descriptor in descriptors.values():
                os.close(descriptor)
            return
        for descriptor in descriptors.values():
            os.set_blocking(descriptor, False)
        self._listeners.append(dict(descriptors))

    def deafen(self) -> None:
        """The kubelet is gone, and with it all who listened."""
        self._silence()
        for listener in self._listeners:
            _close(listener)
        self._listeners.clear()

    def readable(self, descriptor: int) -> bool:
        """Take what is there, a batch at most. False at the stream's end: the descriptor is closed."""
        try:
            data = os.read(descriptor, _BATCH)
        except BlockingIOError:
            return True
        except OSError:  # a terminal whose last user has gone says EIO
            data = b""
        if data:
            self._take(self._streams[descriptor], data)
            return True
        del self._streams[descriptor]
        os.close(descriptor)
        if not self._streams and self._deadline is not None:
            self.close()
        return False

    def ended(self) -> None:
        """The run's main process has ended: what its end has left is the last."""
        self._deadline = time.monotonic() + DRAIN_SECONDS
        if not self._streams:
            self.close()

    def close(self) -> None:
        """Take what is there, and no more."""
        if self._log is None:
            return
        for descriptor, stream in self._streams.items():
            with contextlib.suppress(OSError):
                while data := os.read(descriptor, _BATCH):
                    self._take(stream, data)
        self._log.close()
        self.drop()

    def drop(self) -> None:
        """In a copy of the process: close what is open, and take nothing."""
        if self._log is None:
            return
        for descriptor in self._streams:
            os.close(descriptor)
        self._streams.clear()
        self._log.drop()
        self._log = None
        self.deafen()

    def _take(self, stream: str, data: bytes) -> None:
        assert self._log is not None
        self._log.take(stream, data)
        self._ring()
        for listener in list(self._listeners):
            self._tell(listener, stream, data)

    def _tell(self, listener: dict[str, int], stream: str, data: bytes) -> None:
        try:
            if stream in listener:
                os.write(listener[stream], data)
        except BlockingIOError:
            pass
        except OSError:
            self._listeners.remove(listener)
            _close(listener)

    def _ring(self) -> None:
        if self._bell >= 0:
            try:
                os.write(self._bell, b"\0")
            except BlockingIOError:
                pass  # it has not been heard yet
            except OSError:
                self._silence()

    def _silence(self) -> None:
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1


def _close(listener: Mapping[str, int]) -> None:
    for descriptor in listener.values():
        os.close(descriptor)
