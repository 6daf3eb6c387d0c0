"""Live streams open a few at a time.

When a whole room comes back at once (a restart, a network that was gone), each stream needs its session, its reads and
its first state. All of them together would share the connections of the database and the turns of the loop with
whoever reports or opens a page meanwhile, and those would wait for seconds. So streams take turns: in the order in
which they came, `AT_ONCE` at a time, from before anything is read for them until their first state is on its way.
Whatever is no stream does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

AT_ONCE = 4
# Nothing that hangs may keep the others out.
LONGEST_SECONDS = 5.0
# The streams that a room has by the hundred: pages of learners, and their meshdojos.
PATHS = frozenset({"/live", "/api/v1/desk/stream"})


class Turns:
    """ASGI middleware. A stream's turn ends with the first piece of its body, with its end, or after a while."""

    def __init__(self, app: ASGIApp, at_once: int = AT_ONCE, longest: float = LONGEST_SECONDS) -> None:
        self._app = app
        self._turns = asyncio.Semaphore(at_once)
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self._app(scope, receive, send)
            return
        await self._turns.acquire()
        with self._ending() as end:

            async def send_first(message: Message) -> None:
                if message["type"] == "http.response.body":
                    end()
                await send(message)

            await self._app(scope, receive, send_first)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[_Turn]:
        turn = _Turn(self._turns)
        late = asyncio.get_running_loop().call_later(self._longest, turn)
        try:
            yield turn
        finally:
            late.cancel()
            turn()


class _Turn:
    """A turn that was taken; calling it ends it, once."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._over = False

    def __call__(self) -> None:
        if not self._over:
            self._over = True
            self._turns.release()
