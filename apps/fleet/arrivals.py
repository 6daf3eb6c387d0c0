"""What came in: counted for ``/requests``, and kept for the answer of the request that is under way.

Two questions that an answer's body alone leaves open. *Did this pod get the request at all?* A mirrored request is
answered to nobody, so a counter is the only witness. *What did the request say when it came?* A header that steers a
release shows its effect at the last service, but is lost at any service before: every answer repeats the ``x-fleet-``
headers that its service got, and the first one that does not names the culprit's successor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from fleet.headers import PREFIX

UNCOUNTED = ("/healthz", "/requests")
RUNS_KEPT = 100
# W3C Baggage: `run=NAME` in it marks the requests of one sender, so that they can be told from all others.
BAGGAGE, RUN = b"baggage", "run"

_PREFIX = PREFIX.encode()
_RECEIVED: ContextVar[dict[str, str]] = ContextVar("received")


def received() -> dict[str, str]:
    """The ``x-fleet-`` headers of the request under way, as they came; empty outside a request."""
    return _RECEIVED.get({})


@dataclass
class Arrivals:
    """How many requests came, in all and by ``run`` (of the last `RUNS_KEPT`), since the process started."""

    total: int = 0
    runs: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def add(self, run: str) -> None:
        self.total += 1
        if not run:
            return
        self.runs[run] = self.runs.get(run, 0) + 1
        if len(self.runs) > RUNS_KEPT:
            self.runs.popitem(last=False)

    def report(self) -> dict[str, object]:
        return {"requests": self.total, "runs": dict(self.runs)}


class Middleware:
    """Counts each request of an ASGI application into `arrivals` before it is handled."""

    def __init__(self, app: ASGIApp, arrivals: Arrivals) -> None:
        self._app = app
        self._arrivals = arrivals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in UNCOUNTED:
            headers: list[tuple[bytes, bytes]] = scope["headers"]
            self._arrivals.add(run_of(value for name, value in headers if name == BAGGAGE))
            _RECEIVED.set({name.decode(): value.decode() for name, value in headers if name.startswith(_PREFIX)})
        await self._app(scope, receive, send)


def run_of(baggage: Iterable[bytes]) -> str:
    """The value of `run` in baggage headers (``key=value;property, key=value``), '' without one."""
    for member in b",".join(baggage).decode("latin-1").split(","):
        key, _, value = member.partition(";")[0].partition("=")
        if key.strip() == RUN:
            return value.strip()
    return ""
