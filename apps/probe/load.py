"""Requests over kept-alive connections, as fast as one core allows: asyncio and httptools."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from probe.session import Session
from probe.tally import Tally

TICK = 0.05  # seconds between looks at the clock for requests that take too long


@dataclass(frozen=True)
class Load:
    """What to send: `requests` GETs to `url` over up to `concurrency` connections; times in seconds.

    With `session`, so many requests after each other are one customer's, who keeps the cookies that answers set.
    """

    url: str
    requests: int = 1
    concurrency: int = 8
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10
    deadline: float = 60
    session: int = 0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"url {self.url!r}: expected http://HOST[:PORT]/PATH")
        for name, value in (("requests", self.requests), ("concurrency", self.concurrency)):
            if value < 1:
                raise ValueError(f"{name} {value}: expected at least 1")
        if self.session < 0 or (self.session and self.requests % self.session):
            raise ValueError(f"session {self.session}: expected a divisor of {self.requests}, or 0 for none")

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def bytes(self, cookies: str = "") -> bytes:
        """One request as it goes over the wire. A header of the caller's replaces the default of the same name."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"host": parts.netloc, "accept": "application/json", "user-agent": "meshdojo-probe"}
        headers |= {name.lower(): value for name, value in self.headers.items()}
        if cookies:
            headers["cookie"] = "; ".join(part for part in (headers.get("cookie"), cookies) if part)
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def kind_of(error: Exception | None) -> str:
    """The name under which a connection error is counted."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset"
    if isinstance(error, socket.gaierror):
        return "unresolved"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "unreachable"
    return "closed" if error is None else "failed"


class Connection(asyncio.Protocol):
    """One connection, with one request under way at a time.

    `done` is resolved when no further request can go over it. A request whose answer had not begun when a connection
    *in use before* was closed says nothing about the service (the server was free to close an idle connection), so
    it goes out again over a new one, as RFC 9112 section 9.5 has it for GET.
    """

    def __init__(self, run: Run, customer: Customer) -> None:
        self._run = run
        self._customer = customer
        self.done: asyncio.Future[None] = run.loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._sent_before = 0
        self.under_way = False
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._set_cookies: list[str] = []
        self._body: list[bytes] = []
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        if not self._customer.take():
            self._transport.close()
            return
        self._reset()
        self.under_way, self.started = True, time.perf_counter()
        self._transport.write(self._customer.next_request())

    def data_received(self, data: bytes) -> None:
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail("protocol", str(error))

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = text
        if key == "set-cookie":
            self._set_cookies.append(text)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self.under_way or self._parser.get_status_code() < 200:
            return
        self.under_way = False
        elapsed = time.perf_counter() - self.started
        body = b"".join(self._body)
        label = self._run.tally.answered(self._parser.get_status_code(), self._headers, body, elapsed)
        self._customer.answered(label, self._set_cookies)
        self._sent_before += 1
        keep = self._parser.should_keep_alive()
        # Not from inside the parser's callback: the next request needs a new parser.
        self._run.loop.call_soon(self._send if keep else self._close)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def fail(self, kind: str, detail: str) -> None:
        """Count the request under way as failed and give the connection up."""
        if self.under_way:
            self.under_way = False
            self._run.tally.failed(kind, detail)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self.under_way:
            self.under_way = False
            if self._sent_before and not self._begun:
                self._customer.give_back()
            else:
                self._run.tally.failed(kind_of(error), str(error or "connection closed without an answer"))
        if not self.done.done():
            self.done.set_result(None)


class Customer:
    """Who sends the requests of one connection (and of those that follow it): one session after the other, or none.

    A session is begun only when all of its requests are left to be sent.
    """

    def __init__(self, run: Run, load: Load) -> None:
        self._run = run
        self._load = load
        self._plain = load.bytes()
        self._path = urlsplit(load.url).path or "/"
        self._session = Session(self._path)
        self._reserved = 0

    @property
    def has_more(self) -> bool:
        return bool(self._reserved) or self._run.left >= self._step

    @property
    def _step(self) -> int:
        return self._load.session or 1

    def take(self) -> bool:
        """Whether there is one more request to send; takes it."""
        if not self._reserved:
            if not self._run.take(self._step):
                return False
            self._reserved, self._session = self._step, Session(self._path)
        self._reserved -= 1
        return True

    def give_back(self) -> None:
        self._reserved += 1

    def next_request(self) -> bytes:
        cookies = self._session.header() if self._load.session else ""
        return self._load.bytes(cookies) if cookies else self._plain

    def answered(self, label: str, set_cookies: list[str]) -> None:
        if not self._load.session:
            return
        self._session.answered(label, set_cookies)
        if self._session.answers == self._load.session:
            self._run.tally.sessions[self._session.summary()] += 1


class Run:
    """One run of a `Load`."""

    def __init__(self, load: Load, tally: Tally) -> None:
        self.loop = asyncio.get_running_loop()
        self.tally = tally
        self._load = load
        self.left = load.requests
        self._open: set[Connection] = set()
        self._customers: list[Customer] = []

    def take(self, number: int = 1) -> bool:
        """Whether there are so many requests left to send; takes them."""
        if self.left < number:
            return False
        self.left -= number
        return True

    async def finish(self) -> float:
        """Send everything; returns the seconds that it took. What is left at the deadline counts as not sent."""
        start = time.perf_counter()
        watch = asyncio.create_task(self._watch(start + self._load.deadline))
        await asyncio.gather(*(self._work() for _ in range(min(self._load.concurrency, self._load.requests))))
        watch.cancel()
        return time.perf_counter() - start

    async def _work(self) -> None:
        customer = Customer(self, self._load)
        self._customers.append(customer)
        while customer.has_more:
            connection = Connection(self, customer)
            try:
                async with asyncio.timeout(self._load.timeout):
                    await self.loop.create_connection(lambda c=connection: c, *self._load.address)  # type: ignore[misc]
            except OSError as error:
                if customer.take():
                    self.tally.failed(kind_of(error), str(error) or "no connection in time")
                continue
            self._open.add(connection)
            await connection.done
            self._open.discard(connection)

    async def _watch(self, deadline: float) -> None:
        """Ends requests that take too long, and at the deadline everything."""
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            late = now > deadline
            if late:
                while self.take() or any(one.take() for one in self._customers):
                    self.tally.failed("unsent", f"not sent within {self._load.deadline:g} s")
            for connection in list(self._open):
                if connection.under_way and (late or now - connection.started > self._load.timeout):
                    connection.fail("timeout", f"no answer within {self._load.timeout:g} s")


async def send(load: Load, tally: Tally) -> float:
    """Send a load and count what comes of it in `tally`; returns the seconds that it took."""
    return await Run(load, tally).finish()
