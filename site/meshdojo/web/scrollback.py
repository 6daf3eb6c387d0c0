"""What a shell has printed: the last megabyte, each byte known by its place since the shell began.

Whoever watches remembers a place, not a queue. So one who comes back after a break gets exactly what was missed, one
who is slow makes nobody else wait, and nothing can grow.
"""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 1_000_000


@dataclass(frozen=True)
class Chunk:
    """A piece of output. `at` is the place of its first byte."""

    at: int
    data: bytes

    @property
    def end(self) -> int:
        """The place after the last byte."""
        return self.at + len(self.data)


class Scrollback:
    """The end of a stream of bytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.start = 0

    @property
    def end(self) -> int:
        """The place after the last byte that was printed."""
        return self.start + len(self._kept)

    def append(self, data: bytes) -> None:
        """Add output; what is older than the limit goes, up to the end of a line."""
        self._kept += data
        # Not at every byte: each cut moves all that is kept.
        if len(self._kept) > self._limit + self._limit // 4:
            self._drop(len(self._kept) - self._limit)

    def since(self, place: int, most: int) -> Chunk:
        """Up to `most` bytes from `place` on; from the oldest that is kept when that is gone."""
        begin = min(max(place, self.start), self.end)
        offset = begin - self.start
        return Chunk(begin, bytes(self._kept[offset : offset + most]))

    def _drop(self, number: int) -> None:
        newline = self._kept.find(b"\n", number)
        number = newline + 1 if newline >= 0 else number  # half a line may begin inside a control sequence
        del self._kept[:number]
        self.start += number
