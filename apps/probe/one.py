"""For whoever wants to look rather than count: one request with all of its answer, or a steady few.

``python -m probe one --url URL [--method M] [--header NAME=VALUE]``: prints the answer as JSON.
``python -m probe steady --url URL --rate N --seconds S [--header …]``: N requests a second; their answers are nobody's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from typing import Any

from probe.load import Load, kind_of

BODY_BYTES = 4000
# At most so many wait for an answer at a time; a slow service gets fewer requests, not ever more connections.
UNDER_WAY = 16


def ask(load: Load) -> dict[str, Any]:
    """Send the request of `load` once.

    ``{status, headers: [[name, value]…], body, seconds}``, or ``{error, detail, seconds}`` when no answer came.
    """
    start = time.perf_counter()
    connection = http.client.HTTPConnection(*load.address, timeout=load.timeout)
    try:
        connection.connect()
        connection.sock.sendall(load.bytes())
        answer = http.client.HTTPResponse(connection.sock, method=load.method)
        answer.begin()
        body = answer.read(BODY_BYTES).decode(errors="replace")
        found = {"status": answer.status, "headers": [list(pair) for pair in answer.getheaders()], "body": body}
    except (OSError, http.client.HTTPException) as error:
        kind = kind_of(error if isinstance(error, OSError) else None)
        found = {"error": kind, "detail": str(error) or "the connection was closed without an answer"}
    finally:
        connection.close()
    return {**found, "seconds": time.perf_counter() - start}


def steady(load: Load, rate: float, seconds: float) -> int:
    """Send the request of `load` `rate` times a second for `seconds`; returns how many were sent."""
    free = threading.Semaphore(UNDER_WAY)
    number = max(round(rate * seconds), 1)
    begin = time.monotonic()

    def send() -> None:
        try:
            ask(load)
        finally:
            free.release()

    sent = 0
    threads = []
    for place in range(number):
        time.sleep(max(0.0, begin + place / rate - time.monotonic()))
        if free.acquire(blocking=False):
            threads.append(threading.Thread(target=send, daemon=True))
            threads[-1].start()
            sent += 1
    time.sleep(max(0.0, begin + number / rate - time.monotonic()))
    return sent


def main(arguments: list[str]) -> None:
    """``one …`` or ``steady …``."""
    options = argparse.ArgumentParser("probe")
    options.add_argument("what", choices=("one", "steady"))
    options.add_argument("--url", required=True)
    options.add_argument("--method", default="GET")
    options.add_argument("--header", action="append", default=[], metavar="NAME=VALUE")
    options.add_argument("--timeout", type=float, default=10, metavar="SECONDS")
    options.add_argument("--rate", type=float, default=1, metavar="N")
    options.add_argument("--seconds", type=float, default=5)
    given = options.parse_args(arguments)
    headers = dict(pair.partition("=")[::2] for pair in given.header)
    try:
        load = Load(given.url, method=given.method, headers=headers, timeout=given.timeout)
    except ValueError as error:
        options.error(str(error))
    if given.what == "one":
        print(json.dumps(ask(load)), flush=True)
    else:
        print(json.dumps({"sent": steady(load, given.rate, given.seconds)}), flush=True)
