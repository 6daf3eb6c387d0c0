"""The probe against small servers that behave and misbehave on purpose."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from probe.load import Load, send
from probe.session import Session
from probe.tally import Tally, label_from

pytestmark = pytest.mark.anyio
APPS = Path(__file__).parents[2] / "apps"


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


@asynccontextmanager
async def server(handle: Any) -> Any:
    """`handle(number_of_connection, number_of_request_in_it, request)` returns the answer's bytes, or None to close."""
    connections = 0

    async def serve(reader: Any, writer: Any) -> None:
        nonlocal connections
        connections += 1
        mine, number = connections, 0
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")):
                number += 1
                answer = handle(mine, number, request)
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


def answer(body: str = "{}", status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n{body}".encode()


def noting(seen: list[bytes]) -> Any:
    """Answers every request, and notes it."""

    def handle(_connection: int, _number: int, request: bytes) -> bytes:
        seen.append(request)
        return answer()

    return handle


async def run(url: Any, count_by: Any = "status", **options: Any) -> Any:
    tally = Tally(label_from(count_by))
    return tally.report(await send(Load(url, **options), tally))


async def test_every_request_is_sent_once_and_counted() -> None:
    seen: list[bytes] = []
    async with server(noting(seen)) as url:
        report = await run(url, requests=500, concurrency=7)
    assert len(seen) == 500
    assert (report["requests"], report["answered"], report["statuses"]) == (500, 500, {"200": 500})
    assert list(report["latency"]) == ["min", "p50", "p90", "p99", "max"]
    assert sorted(report["latency"].values()) == list(report["latency"].values())


async def test_counting_by_json_and_by_header() -> None:
    def handle(_connection: Any, number: Any, _request: Any) -> Any:
        return answer(json.dumps({"a": [{"b": "x" if number % 4 else "y"}]}), headers=f"x-n: {number % 2}\r\n")

    async with server(handle) as url:
        by_json = await run(url, "json:a.0.b", requests=8, concurrency=1)
        by_header = await run(url, "header:X-N", requests=8, concurrency=1)
        missing = await run(url, "json:nothing.here", requests=2)
    assert by_json["counts"] == {"x": 6, "y": 2}
    assert by_header["counts"] == {"1": 4, "0": 4}
    assert missing["counts"] == {"(none)": 2}


async def test_answers_that_are_no_success_are_not_among_the_counts() -> None:
    def handle(_connection: Any, number: Any, _request: Any) -> Any:
        return answer("no healthy upstream", "503 Service Unavailable") if number == 2 else answer()

    async with server(handle) as url:
        report = await run(url, requests=3, concurrency=1)
    assert report["statuses"] == {"200": 2, "503": 1}
    assert report["counts"] == {"200": 2}
    assert report["examples"] == {"503": "no healthy upstream"}


async def test_headers_replace_the_defaults() -> None:
    seen: list[bytes] = []
    async with server(noting(seen)) as url:
        await run(url, headers={"Host": "fleet.example", "x-fleet-preview": "1"})
    assert b"host: fleet.example\r\n" in seen[0]
    assert seen[0].count(b"host:") == 1
    assert b"x-fleet-preview: 1\r\n" in seen[0]


async def test_a_refused_connection() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        report = await run(f"http://127.0.0.1:{reserved.getsockname()[1]}/", requests=5)
    assert (report["answered"], report["errors"]) == (0, {"refused": 5})


async def test_a_connection_closed_without_an_answer() -> None:
    async with server(lambda *_: None) as url:
        report = await run(url, requests=4, concurrency=2)
    assert report["errors"] == {"closed": 4}


async def test_a_kept_connection_that_was_closed_in_between_costs_no_request() -> None:
    async with server(lambda connection, number, request: answer() if number <= 3 else None) as url:
        report = await run(url, requests=9, concurrency=1)
    assert (report["answered"], report["errors"]) == (9, {})


async def test_connection_close_is_honoured() -> None:
    connections = set()

    def handle(connection: Any, _number: Any, _request: Any) -> Any:
        connections.add(connection)
        return answer(headers="connection: close\r\n")

    async with server(handle) as url:
        report = await run(url, requests=4, concurrency=1)
    assert report["answered"] == 4
    assert len(connections) == 4


async def test_a_silent_server_times_out() -> None:
    async with server(lambda *_: b"") as url:
        report = await run(url, requests=2, concurrency=2, timeout=0.1)
    assert report["errors"] == {"timeout": 2}


async def test_the_deadline_accounts_for_what_was_never_sent() -> None:
    async with server(lambda *_: b"") as url:
        report = await run(url, requests=50, concurrency=1, timeout=30, deadline=0.1)
    assert report["requests"] == 50
    assert report["errors"] == {"unsent": 49, "timeout": 1}


async def test_an_answer_that_is_not_http() -> None:
    async with server(lambda *_: b"SSH-2.0-nope\r\n\r\n") as url:
        report = await run(url)
    assert report["errors"] == {"protocol": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "https://web/"}, "expected http://"),
        ({"url": "web"}, "expected http://"),
        ({"url": "http://web/", "requests": 0}, "requests 0"),
        ({"url": "http://web/", "concurrency": 0}, "concurrency 0"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(options: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=message):
        Load(**options)


@pytest.mark.parametrize("text", ["", "header:", "json:", "colour", "status:1"])
def test_an_unknown_label_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="allowed are status, header:NAME and json:PATH"):
        label_from(text)


def test_the_command_line_prints_json_and_refuses_with_words() -> None:
    def probe(*arguments: Any) -> Any:
        return subprocess.run([sys.executable, "-m", "probe", *arguments], cwd=APPS, capture_output=True, text=True)

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/"
        assert json.loads(probe("--url", url, "--requests", "2").stdout)["errors"] == {"refused": 2}
    bad = probe("--url", "http://x/", "--header", "novalue")
    assert bad.returncode == 2
    assert "expected NAME=VALUE" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_serve_waits_until_it_is_told_to_stop() -> None:
    process = subprocess.Popen([sys.executable, "-m", "probe", "serve"], cwd=APPS, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "probe: waiting\n"
    process.terminate()
    assert process.wait(timeout=30) == 0
    process.stdout.close()


def given_cookie(request: bytes) -> str:
    lines = [line for line in request.decode().split("\r\n") if line.startswith("cookie: ")]
    return lines[0].removeprefix("cookie: ") if lines else ""


async def test_customers_keep_their_cookies() -> None:
    """The server hands out a cookie to who brings none, and answers with its value."""
    issued: list[str] = []

    def handle(_connection: int, _number: int, request: bytes) -> bytes:
        cookie = given_cookie(request)
        if cookie:
            return answer(json.dumps({"customer": cookie.partition("=")[2]}))
        issued.append(f"c{len(issued)}")
        body = json.dumps({"customer": issued[-1]})
        return answer(body, headers=f"set-cookie: id={issued[-1]}; Max-Age=60; HttpOnly\r\n")

    async with server(handle) as url:
        report = await run(url, "json:customer", requests=60, session=6, concurrency=4)
    assert report["sessions"] == dict.fromkeys(issued, 1)
    assert len(issued) == 10
    assert set(report["counts"].values()) == {6}


async def test_customers_who_are_sent_around_are_told() -> None:
    def handle(_connection: int, number: int, _request: bytes) -> bytes:
        return answer(json.dumps({"pod": "ab"[number % 2]}))

    async with server(handle) as url:
        report = await run(url, "json:pod", requests=12, session=3, concurrency=2)
    assert report["sessions"] == {"a+b": 4}


async def test_without_sessions_cookies_are_forgotten() -> None:
    seen: list[bytes] = []

    def handle(_connection: int, _number: int, request: bytes) -> bytes:
        seen.append(request)
        return answer(headers="set-cookie: id=1\r\n")

    async with server(handle) as url:
        report = await run(url, requests=4)
    assert report["sessions"] == {}
    assert not any(map(given_cookie, seen))


@pytest.mark.parametrize(
    ("path", "set_cookies", "sent"),
    [
        ("/", ["a=1; Path=/", 'b="2"; HttpOnly'], 'a=1; b="2"'),
        ("/shop/cart", ["a=1", "b=2; Path=/shop", "c=3; Path=/shopping", "d=4; Path=/shop/cart/"], "a=1; b=2"),
        ("/", ["a=1", "a=2"], "a=2"),
        ("/", ["a=1", "a=; Max-Age=0"], ""),
        ("/", ["not a cookie"], ""),
    ],
)
def test_cookies_go_where_a_browser_sends_them(path: str, set_cookies: list[str], sent: str) -> None:
    session = Session(path)
    session.answered("x", set_cookies)
    assert session.header() == sent
