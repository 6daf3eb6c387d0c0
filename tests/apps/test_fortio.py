"""``fortio`` as Istio's tasks type it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from samples import fortio
from samples.fortio import UsageError, parse


@contextmanager
def server(bad: frozenset[int] = frozenset()) -> Iterator[str]:
    """The address of one that answers 200, and 503 to those requests whose number is in `bad`."""
    numbers = count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(503 if next(numbers) in bad else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/get"
        finally:
            found.shutdown()
            thread.join()


def test_codes_are_counted_with_their_share(capsys: pytest.CaptureFixture[str]) -> None:
    with server(frozenset({3, 9, 11})) as url:
        words = ["fortio", "load", "-c", "3", "-qps", "0", "-n", "20", "-loglevel", "Warning", url]
        assert fortio.main(words) == 0
    said = capsys.readouterr()
    assert "Starting at max qps with 3 thread(s)" in said.out
    assert "for exactly 20 calls (6 per thread + 2)" in said.out
    assert "Code 200 : 17 (85.0 %)\nCode 503 : 3 (15.0 %)\n" in said.out
    assert "Sockets used: " in said.out
    assert "All done 20 calls (plus 0 warmup)" in said.out
    assert said.err.count("Non ok http code 503 (HTTP/1.1 503)") == 3


def test_a_connection_is_kept_unless_something_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with server(frozenset({2})) as url:
        assert fortio.main(["fortio", "load", "-quiet", "-c=1", "-qps=0", "-n=5", url]) == 0
    said = capsys.readouterr()
    assert "Sockets used: 2 (for perfect keepalive, would be 1)" in said.out
    assert said.err == ""


def test_a_rate_and_a_time_end_it(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as url:
        assert fortio.main(["fortio", "load", "-c", "1", "-qps", "50", "-t", "100ms", url]) == 0
    calls = int(capsys.readouterr().out.split("All done ")[1].split()[0])
    assert 1 <= calls <= 5


def test_who_does_not_answer_is_code_minus_one(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as url:
        pass
    assert fortio.main(["fortio", "load", "-quiet", "-c", "1", "-qps", "0", "-n", "2", url]) == 0
    assert "Code  -1 : 2 (100.0 %)" in capsys.readouterr().out


def test_curl_shows_head_and_body(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with server(frozenset({2})) as url:
        assert fortio.main(["fortio", "curl", "-quiet", url]) == 0
        assert fortio.main(["fortio", "curl", "-quiet", url]) == 1
    shown = capfdbinary.readouterr().out
    assert shown.startswith(b"HTTP/1.1 200 OK\r\n")
    assert shown.endswith(b"\r\n\r\nok")
    assert b"HTTP/1.1 503 " in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a url"),
        (["-c"], "flag needs an argument: -c"),
        (["-c", "x", "u"], 'invalid value "x" for flag -c'),
        (["-t", "5", "u"], 'invalid value "5" for flag -t'),
        (["-loglevel", "loud", "u"], 'invalid value "loud"'),
        (["-nosuch", "u"], "flag provided but not defined: -nosuch"),
        (["-t", "0", "u"], "without an end"),
    ],
)
def test_a_wrong_command_line_is_named(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(words)


def test_flags_are_read_as_go_does() -> None:
    options = parse(["--c", "2", "-t=1m30s", "-H", "Host: shop", "-keepalive=false", "-payload", "x", "httpbin:8000"])
    assert (options.connections, options.duration, options.keepalive) == (2, 90.0, False)
    assert (options.headers, options.payload, options.url) == ({"Host": "shop"}, "x", "http://httpbin:8000")


@pytest.mark.parametrize("words", [[], ["nosuch"], ["load"]])
def test_an_unknown_command_says_which_there_are(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fortio.main(["fortio", *words]) == 1
    assert "fortio load" in capsys.readouterr().err


def test_the_server_echoes(capsys: pytest.CaptureFixture[str]) -> None:
    app = Starlette(routes=[Route("/debug", fortio._debug), Route("/{path:path}", fortio._echo, methods=["POST"])])
    client = TestClient(app)
    echoed = client.post("/echo?status=418&delay=1ms", content=b"hello")
    assert (echoed.status_code, echoed.text) == (418, "hello")
    assert client.post("/?status=x").status_code == 400
    assert "x-own: 1" in client.get("/debug", headers={"x-own": "1"}).text
