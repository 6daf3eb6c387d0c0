from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.istio.world import run_directory

from meshdojo.istio import pilot_agent


class Admin(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; /missing is a 404."""

    def do_GET(self) -> None:
        body = f"{self.command} {self.path}".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    """http.server on a Unix socket."""

    def get_request(self) -> tuple[object, tuple[str, int]]:  # type: ignore[override]
        request, _ = super().get_request()
        return request, ("local", 0)


@pytest.fixture(autouse=True)
def admin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with run_directory() as run:
        directory = run / "pods" / "uid"
        directory.mkdir(parents=True)
        monkeypatch.setenv("MESHDOJO_RUN", str(run))
        monkeypatch.setenv("MESHDOJO_POD_UID", "uid")
        with Server(str(directory / "admin.sock"), Admin) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield directory / "admin.sock"
            server.shutdown()


def test_requests_go_to_the_pods_envoy(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert pilot_agent.main(["request", "GET", "stats?filter=x"]) == 0
    assert capfdbinary.readouterr().out == b"GET /stats?filter=x"


def test_the_pre_stop_hook_drains(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert pilot_agent.main(["request", "--debug-port=15020", "POST", "drain"]) == 0
    assert capfdbinary.readouterr().out == b"POST /drain_listeners?graceful&inboundonly"


def test_failures_have_words(capsys: pytest.CaptureFixture[str], admin: Path) -> None:
    assert pilot_agent.main(["request", "GET", "missing"]) == 1
    assert "unexpected status 404" in capsys.readouterr().err
    assert pilot_agent.main(["request"]) == 1
    assert "usage:" in capsys.readouterr().err
    assert pilot_agent.main(["nonsense"]) == 1
    admin.unlink()
    assert pilot_agent.main(["request", "GET", "stats"]) == 1
    assert "Envoy does not answer" in capsys.readouterr().err


def test_outside_a_pod(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHDOJO_RUN")
    assert pilot_agent.main(["request", "GET", "stats"]) == 1
    assert "not in a pod" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert pilot_agent.main(["version"]) == 0
    assert "1.31" in capsys.readouterr().out
