"""One request looked at closely, and a steady few, against servers that behave and misbehave on purpose."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe import one
from probe.load import Load

APPS = Path(__file__).parents[2] / "apps"
Handle = Callable[[bytes], bytes]


@contextmanager
def server(handle: Handle) -> Iterator[str]:
    """Answers each connection's first request with what `handle` makes of it."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            self.wfile.write(handle(head))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_address[1]}/a?b=c"
        finally:
            found.shutdown()
            thread.join()


def answer(body: bytes, head: str = "HTTP/1.1 200 OK") -> bytes:
    return f"{head}\r\nX-One: 1\r\nx-one: 2\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_the_whole_answer_is_told() -> None:
    heads: list[bytes] = []

    def handle(head: bytes) -> bytes:
        heads.append(head)
        return answer("schön".encode(), "HTTP/1.1 404 Not Found")

    with server(handle) as url:
        found = one.ask(Load(url, method="PUT", headers={"x-fleet-drill": "slow"}))
    assert found.pop("seconds") >= 0
    assert found == {
        "status": 404,
        "headers": [["X-One", "1"], ["x-one", "2"], ["content-length", "6"]],
        "body": "schön",
    }
    assert heads[0].startswith(b"PUT /a?b=c HTTP/1.1\r\n")
    assert b"x-fleet-drill: slow\r\n" in heads[0]


def test_of_a_long_body_the_beginning_is_told() -> None:
    with server(lambda _: answer(b"x" * (one.BODY_BYTES + 1))) as url:
        assert one.ask(Load(url))["body"] == "x" * one.BODY_BYTES


def test_bytes_that_are_no_text_are_replaced() -> None:
    with server(lambda _: answer(b"a\xffb")) as url:
        assert one.ask(Load(url))["body"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("said", "kind", "detail"),
    [
        (b"", "reset", "Remote end closed connection without response"),
        (b"nonsense\r\n\r\n", "closed", "nonsense"),
    ],
)
def test_an_answer_that_is_none_is_an_error(said: bytes, kind: str, detail: str) -> None:
    with server(lambda _: said) as url:
        found = one.ask(Load(url))
    assert found["error"] == kind
    assert detail in found["detail"]
    assert "status" not in found


def test_of_a_body_that_breaks_off_there_is_what_came() -> None:
    with server(lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxy") as url:
        found = one.ask(Load(url))
    assert (found["status"], found["body"]) == (200, "xy")


def test_a_port_that_nobody_serves_refuses() -> None:
    with server(lambda _: b"") as url:
        pass
    found = one.ask(Load(url))
    assert (found["error"], "refused" in found["detail"]) == ("refused", True)


def test_an_answer_that_does_not_come_in_time_is_an_error() -> None:
    release = threading.Event()

    def handle(_head: bytes) -> bytes:
        release.wait(60)
        return b""

    with server(handle) as url:
        found = one.ask(Load(url, timeout=0.05))
        release.set()
    assert found["error"] == "timeout"


def test_a_steady_few_are_sent() -> None:
    arrived = threading.Semaphore(0)

    def handle(_head: bytes) -> bytes:
        arrived.release()
        return answer(b"")

    with server(handle) as url:
        assert one.steady(Load(url), rate=100, seconds=0.1) == 10
        assert all(arrived.acquire(timeout=60) for _ in range(10))
        assert one.steady(Load(url), rate=1, seconds=0.01) == 1  # one at least


def test_a_slow_service_gets_fewer_not_ever_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one, "UNDER_WAY", 3)
    release = threading.Event()

    def handle(_head: bytes) -> bytes:
        release.wait(60)
        return answer(b"")

    with server(handle) as url:
        assert one.steady(Load(url), rate=200, seconds=0.1) == 3
        release.set()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "probe", *arguments], cwd=APPS, capture_output=True, text=True, timeout=60
    )


def test_the_command_prints_json() -> None:
    with server(lambda head: answer(head.split(b"\r\n")[0])) as url:
        found = json.loads(run("one", "--url", url, "--method", "POST", "--header", "a=b=c").stdout)
        assert (found["status"], found["body"]) == (200, "POST /a?b=c HTTP/1.1")
        assert json.loads(run("steady", "--url", url, "--rate", "50", "--seconds", "0.1").stdout) == {"sent": 5}


def test_a_url_that_is_none_is_refused_in_words() -> None:
    ran = run("one", "--url", "ftp://nobody/")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "usage: probe" in ran.stderr
    assert "Traceback" not in ran.stderr
