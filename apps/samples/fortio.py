"""``fortio`` as Istio's tasks about circuit breaking use it: ``load``, ``curl`` and ``server``, with its output.

``load`` sends from so many connections at once (``-c``) so many requests (``-n``, or for ``-t``) at a rate (``-qps``,
0: as fast as it goes), and counts the codes. As the original does it keeps connections open, and makes a new one after
an answer that is not 200. Numbers are fortio's own defaults: 4 connections, 8 queries a second, 5 seconds.
"""

from __future__ import annotations

import asyncio
import http.client
import math
import os
import re
import ssl
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samples.serving import serve

VERSION = "1.69.5"
PORT = 8080
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
USAGE = "Usage: fortio load [flags] URL | fortio curl [flags] URL | fortio server | fortio version"
# Flags with a value and those without; the ones that begin a line of `_IGNORED` change nothing here.
_VALUES = ("c", "n", "qps", "t", "loglevel", "H", "timeout", "payload", "X", "content-type", "p")
_SWITCHES = ("quiet", "k", "keepalive", "uniform", "nocatchup")
_IGNORED = ("r", "labels", "json", "a", "allow-initial-errors", "stdclient", "http1.0", "L", "jitter", "h2")
_IGNORED_VALUES = ("r", "labels", "json")
_LEVELS = ("debug", "verbose", "info", "warning", "error", "critical", "fatal")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class UsageError(Exception):
    """The command line is wrong; the text says how."""


@dataclass
class Options:
    """What a command line asks for; `duration` and `timeout` in seconds, `number` 0: as many as fit into the time."""

    url: str = ""
    connections: int = 4
    number: int = 0
    qps: float = 8.0
    duration: float = 5.0
    timeout: float = 3.0
    percentiles: tuple[float, ...] = (50.0, 75.0, 90.0, 99.0, 99.9)
    headers: dict[str, str] = field(default_factory=dict)
    method: str = ""
    payload: str = ""
    keepalive: bool = True
    insecure: bool = False
    level: int = 2


@dataclass
class Tally:
    """What came of a thread's requests: seconds of each, by code, and the sizes in bytes."""

    seconds: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    failed: list[float] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    sockets: int = 0
    addresses: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Take another thread's in."""
        for name in ("seconds", "failed", "heads", "sizes"):
            getattr(self, name).extend(getattr(other, name))
        self.codes.update(other.codes)
        self.addresses.update(other.addresses)
        self.sockets += other.sockets


def parse(words: list[str]) -> Options:
    """A command line as Go reads it: ``-flag value``, ``-flag=value``, ``--flag``. Raises `UsageError`."""
    options, rest = Options(), list(words)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if name not in (*_VALUES, *_SWITCHES, *_IGNORED):
            raise UsageError(f"flag provided but not defined: -{name}")
        if name in (*_VALUES, *_IGNORED_VALUES) and not equals:
            if not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        try:
            _set(options, name, value)
        except ValueError:
            raise UsageError(f'invalid value "{value}" for flag -{name}: parse error') from None
    if len(rest) != 1:
        raise UsageError("fortio load/curl needs a url or destination")
    options.url = rest[0] if "://" in rest[0] else f"http://{rest[0]}"
    if options.number == 0 and options.duration <= 0:
        raise UsageError("without an end: give -n or -t")
    return options


def _set(options: Options, name: str, value: str) -> None:
    match name:
        case "c":
            options.connections = max(1, int(value))
        case "n":
            options.number = int(value)
        case "qps":
            options.qps = float(value)
        case "t":
            options.duration = seconds(value)
        case "timeout":
            options.timeout = seconds(value)
        case "p":
            options.percentiles = tuple(float(one) for one in value.split(","))
        case "H":
            key, _, text = value.partition(":")
            options.headers[key.strip()] = text.strip()
        case "content-type":
            options.headers["Content-Type"] = value
        case "X":
            options.method = value
        case "payload":
            options.payload = value
        case "loglevel":
            if value.lower() not in _LEVELS:
                raise ValueError(value)
            options.level = _LEVELS.index(value.lower())
        case "quiet":
            options.level = _LEVELS.index("error")
        case "k":
            options.insecure = value != "false"
        case "keepalive":
            options.keepalive = value != "false"
        case _:
            return


def seconds(text: str) -> float:
    """A duration of Go's, such as 1m30s, in seconds. Raises ValueError."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Client:
    """One connection, made anew after an error, an answer that is not 200, or without keep-alive."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._parts: SplitResult = urlsplit(options.url)
        self._connection: http.client.HTTPConnection | None = None
        self.tally = Tally()

    def request(self, thread: int) -> tuple[int, bytes, bytes]:
        """Send one: its code (-1: no answer), the answer's head and its body."""
        options, parts = self._options, self._parts
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        method = options.method or ("POST" if options.payload else "GET")
        headers = {"User-Agent": f"fortio.org/fortio-{VERSION}", **options.headers}
        try:
            connection = self._connection or self._connect()
            connection.request(method, path, options.payload.encode() or None, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self._log(3, f"[{thread}] Unable to fetch {options.url} : {error}")
            return -1, b"", b""
        version = "1.1" if answer.version == 11 else "1.0"
        lines = [f"HTTP/{version} {answer.status} {answer.reason}", *(f"{k}: {v}" for k, v in answer.getheaders())]
        if answer.status != 200:
            self._log(3, f"[{thread}] Non ok http code {answer.status} (HTTP/{version} {answer.status})")
        if answer.status != 200 or not options.keepalive or answer.will_close:
            self.close()
        return answer.status, "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"), body

    def close(self) -> None:
        """The next request makes a connection of its own."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        parts, timeout = self._parts, self._options.timeout
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            if self._options.insecure:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.tally.sockets += 1
        connection.connect()
        address, number = connection.sock.getpeername()[:2]
        self.tally.addresses[f"{address}:{number}"] += 1
        self._connection = connection
        return connection

    def _log(self, level: int, text: str) -> None:
        if level >= self._options.level:
            now = time.time()
            stamp = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
            sys.stderr.write(f"{stamp} {_LEVELS[level][0].upper()} http_client> {text}\n")


def load(options: Options) -> int:
    """Send, and print what came of it. Exit code 0, as the original's, whatever the codes are."""
    threads, number = options.connections, options.number
    if number and threads > number:
        threads = number
    processors = os.cpu_count() or 1
    what = f"for {number} calls" if number else f"for {_span(options.duration)}"
    rate = f"{options.qps:g} queries per second"
    print(f"Fortio {VERSION} running at {rate}, {processors}->{processors} procs, {what}: {options.url}")
    pace = "at max qps" if options.qps <= 0 else f"at {options.qps:g} qps"
    share, extra = divmod(number, threads)
    end = f"for exactly {number} calls ({share} per thread + {extra})" if number else what
    print(f"Starting {pace} with {threads} thread(s) [gomax {processors}] {end}", flush=True)
    clients = [Client(options) for _ in range(threads)]
    began = time.monotonic()
    work = [
        threading.Thread(target=_send, args=(client, index, share + (index < extra), threads, options, began))
        for index, client in enumerate(clients)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    total = Tally()
    for client in clients:
        total.add(client.tally)
    _report(total, time.monotonic() - began, threads, options)
    return 0


def _send(client: Client, index: int, share: int, threads: int, options: Options, began: float) -> None:
    """One thread's part: `share` requests, or without a number until the time is over."""
    tally, sent = client.tally, 0
    while sent < share if options.number else time.monotonic() - began < options.duration:
        if options.qps > 0 and (pause := began + sent * threads / options.qps - time.monotonic()) > 0:
            if not options.number and time.monotonic() + pause - began >= options.duration:
                break
            time.sleep(pause)
        start = time.monotonic()
        code, head, body = client.request(index)
        took = time.monotonic() - start
        sent += 1
        tally.seconds.append(took)
        tally.codes[code] += 1
        tally.heads.append(len(head) if code == 200 else 0)
        tally.sizes.append(len(head) + len(body))
        if code != 200:
            tally.failed.append(took)
    client.close()


def _report(tally: Tally, passed: float, threads: int, options: Options) -> None:
    count = len(tally.seconds)
    if not count:
        print("No calls were made")
        return
    print(f"Ended after {_span(passed)} : {count} calls. qps={count / passed:.5g}")
    print(f"Aggregated Function Time : {_statistics(tally.seconds)}")
    print("# range, mid point, percentile, count")
    for line in _histogram(tally.seconds):
        print(line)
    ordered = sorted(tally.seconds)
    for share in options.percentiles:
        print(f"# target {share:g}% {ordered[min(count - 1, math.ceil(count * share / 100) - 1)]:.6g}")
    failed = _statistics(tally.failed) if tally.failed else "no data"
    print(f"Error cases : {failed}")
    print(f"Sockets used: {tally.sockets} (for perfect keepalive, would be {threads})")
    print("Uniform: false, Jitter: false, Catchup allowed: true")
    print("IP addresses distribution:")
    for address, times in tally.addresses.most_common():
        print(f"{address}: {times}")
    for code, times in sorted(tally.codes.items()):
        print(f"Code {code:3d} : {times} ({times * 100 / count:.1f} %)")
    print(f"Response Header Sizes : {_statistics(tally.heads)}")
    print(f"Response Body/Total Sizes : {_statistics(tally.sizes)}")
    average = sum(tally.seconds) / count * 1000
    print(f"All done {count} calls (plus 0 warmup) {average:.3f} ms avg, {count / passed:.1f} qps")


def _statistics(values: list[float] | list[int]) -> str:
    average, deviation = statistics.fmean(values), statistics.pstdev(values)
    numbers = f"min {min(values):.8g} max {max(values):.8g} sum {sum(values):.9g}"
    return f"count {len(values)} avg {average:.8g} +/- {deviation:.4g} {numbers}"


def _histogram(values: list[float]) -> list[str]:
    """Lines for at most ten ranges of whole milliseconds that have something in them."""
    width = max(1, math.ceil((max(values) - min(values)) * 1000 / 10))
    groups = Counter(int(value * 1000 // width) for value in values)
    lines, below = [], 0
    for group, count in sorted(groups.items()):
        low, high = group * width / 1000, (group + 1) * width / 1000
        below += count
        lines.append(f">= {low:g} <= {high:g} , {(low + high) / 2:g} , {below * 100 / len(values):.2f}, {count}")
    return lines


def _span(duration: float) -> str:
    """As Go prints a duration: 53.2ms, 5s."""
    return f"{duration:.6g}s" if duration >= 1 else f"{duration * 1000:.6g}ms"


def curl(options: Options) -> int:
    """Print one answer, head and body. Exit code 1 unless it is 200."""
    client = Client(options)
    code, head, body = client.request(0)
    client.close()
    sys.stdout.buffer.write(head + body)
    sys.stdout.buffer.flush()
    return 0 if code == 200 else 1


async def _echo(request: Request) -> Response:
    """The body comes back, with ``?status=`` and after ``?delay=`` if asked for."""
    query = request.query_params
    try:
        await asyncio.sleep(min(seconds(query.get("delay", "0")), 60.0))
        code = int(query.get("status", "200"))
    except ValueError as error:
        return Response(f"cannot be read: {error}\n", 400)
    return Response(await request.body(), code if 200 <= code <= 599 else 400, media_type="text/plain")


async def _debug(request: Request) -> Response:
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    text = f"Φορτίο version {VERSION} (meshdojo) echo debug server\n\n{request.method} {request.url.path} HTTP/1.1\n\n"
    return Response(text + "headers:\n\n" + "\n".join(lines) + "\n", media_type="text/plain; charset=UTF-8")


def main(argv: list[str]) -> int:
    """Exit code of the program."""
    command, words = (argv[1], argv[2:]) if len(argv) > 1 else ("", [])
    try:
        match command:
            case "load":
                return load(parse(words))
            case "curl":
                return curl(parse(words))
            case "server":
                routes = [Route("/debug", _debug, methods=METHODS), Route("/{path:path}", _echo, methods=METHODS)]
                serve(Starlette(routes=routes), PORT)
                return 0
            case "version":
                print(VERSION)
                return 0
            case _:
                raise UsageError(f"{command!r} is no command here" if command else "a command is missing")
    except UsageError as error:
        sys.stderr.write(f"{error}\n{USAGE}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
