"""Shells for learners: what the pages need of them, wherever they run.

`local.LocalShells` opens them on this machine, for its owner alone. An environment elsewhere (a pod for each learner)
is another `Shells`; the pages and the protocol of `pages.terminal` stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from meshdojo.errors import UserError
from meshdojo.web.scrollback import Chunk, Scrollback

CHUNK = 64 * 1024
# How far a watcher may be behind before the shell is made to wait for it.
SLACK = 512 * 1024


class ShellError(UserError):
    """No shell can be opened; the text says why and what to do."""


class Follower:
    """One who watches a shell: how far they are, and a bell that rings when there is more."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.news = asyncio.Event()


class Shell:
    """A shell that runs somewhere, and what it has printed. It lives on when nobody watches.

    Whoever makes shells writes a subclass with `write`, `resize`, `foreground`, `close`, hands what comes to `printed`,
    says `finish` at the end, and may read `behind` to pause a program that prints faster than anybody reads.
    """

    def __init__(self, identity: str, learner: int, lab: str, number: int) -> None:
        self.id = identity
        self.learner = learner
        self.lab = lab
        self.number = number
        self.scrollback = Scrollback()
        self.exit_code: int | None = None
        self._followers: set[Follower] = set()

    @property
    def name(self) -> str:
        """What its tab says."""
        return f"Terminal {self.number}"

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.exit_code is None

    @property
    def behind(self) -> bool:
        """Whether somebody watches, and is too far behind."""
        return any(self.scrollback.end - follower.place > SLACK for follower in self._followers)

    def printed(self, data: bytes) -> None:
        """Keep output and wake those who watch."""
        self.scrollback.append(data)
        self._ring()

    def finish(self, exit_code: int) -> None:
        """The shell has ended."""
        self.exit_code = exit_code
        self._ring()

    def _ring(self) -> None:
        for follower in self._followers:
            follower.news.set()

    @contextmanager
    def watched(self, place: int = 0) -> Iterator[Follower]:
        """Watch from `place` on: hand the follower to `follow`."""
        follower = Follower(max(place, self.scrollback.start))
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            self.caught_up()

    async def follow(self, follower: Follower) -> AsyncIterator[Chunk]:
        """What was and will be printed, to the end. A piece counts as read when the next one is asked for."""
        while True:
            follower.news.clear()
            chunk = self.scrollback.since(follower.place, CHUNK)
            if chunk.data:
                yield chunk
                follower.place = chunk.end
                self.caught_up()
            elif self.running:
                await follower.news.wait()
            else:
                return

    def caught_up(self) -> None:
        """Somebody has read: a paused program may go on (see `behind`)."""

    def write(self, data: bytes) -> None:
        """Type. Ignored once the shell has ended."""
        raise NotImplementedError

    def resize(self, columns: int, rows: int) -> None:
        """Tell the programs how large the screen is."""
        raise NotImplementedError

    def foreground(self) -> str:
        """The name of the program that has the terminal now; '' when the shell itself waits for a command."""
        raise NotImplementedError

    async def close(self) -> None:
        """End it and all that it started."""
        raise NotImplementedError


class Shells(Protocol):
    """Opens shells and knows those that are open."""

    async def open(self, learner: int, lab: str, columns: int, rows: int) -> Shell:
        """A new shell in the learner's environment. Raises `ShellError`."""
        ...

    def find(self, learner: int, identity: str) -> Shell | None:
        """The learner's shell of this id."""
        ...

    def of(self, learner: int, lab: str) -> Sequence[Shell]:
        """The learner's shells for a lab, in the order in which they were opened."""
        ...

    def folder(self, lab: str) -> Path | None:
        """Where the shells of a lab start, when that is on this machine."""
        ...

    async def refresh(self) -> None:
        """The lab's environment may have changed (Istio was installed): let shells that are open know."""
        ...

    async def discard(self, shell: Shell) -> None:
        """End a shell and forget it."""
        ...

    async def close(self) -> None:
        """End all."""
        ...
