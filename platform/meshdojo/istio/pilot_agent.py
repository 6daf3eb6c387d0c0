"""``pilot-agent`` as people call it in a proxy's container: ``kubectl exec POD -c istio-proxy -- pilot-agent …``

pilot-agent request GET stats            ask Envoy's admin interface
pilot-agent request --debug-port=15020 POST drain     what the preStop hook says: take no new connections
pilot-agent version
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshdojo.istio.version import VERSION

USAGE = "usage: pilot-agent request [--debug-port=15020] METHOD PATH [BODY]   or   pilot-agent version"
DRAIN = "drain_listeners?graceful&inboundonly"


class _AdminConnection(http.client.HTTPConnection):
    """HTTP over Envoy's admin socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(admin: Path, method: str, path: str, body: str = "") -> tuple[int, bytes]:
    """(status, body) of Envoy's answer. Raises OSError when it does not answer."""
    connection = _AdminConnection(admin)
    try:
        connection.request(method, "/" + path.lstrip("/"), body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def admin_socket(environment: Mapping[str, str]) -> Path | None:
    """Where the Envoy of this pod takes admin requests."""
    run, uid = environment.get("MESHDOJO_RUN"), environment.get("MESHDOJO_POD_UID")
    return Path(run) / "pods" / uid / "admin.sock" if run and uid else None


def _request(argv: Sequence[str]) -> int:
    words = [word for word in argv if not word.startswith("--")]
    agent_port = any(word.startswith("--debug-port") for word in argv)
    admin = admin_socket(os.environ)
    if len(words) not in (2, 3):
        print(f"Error: {USAGE}", file=sys.stderr)
        return 1
    if admin is None:
        print("Error: not in a pod: MESHDOJO_RUN and MESHDOJO_POD_UID are not set", file=sys.stderr)
        return 1
    method, path, *body = words
    if agent_port and path.strip("/") == "drain":  # the agent's own command, not Envoy's
        path = DRAIN
    try:
        status, content = request(admin, method.upper(), path, *body)
    except OSError as error:
        print(f"Error: Envoy does not answer on {admin}: {error.strerror or error}", file=sys.stderr)
        return 1
    if status != 200:
        print(f"Error: unexpected status {status}: {content.decode(errors='replace').strip()}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program: the exit code. `argv` without the program's name."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["request"]:
        return _request(argv[1:])
    if argv[:1] == ["version"]:
        print(f"version.BuildInfo{{Version:{VERSION!r}}}")
        return 0
    print(f"Error: {USAGE}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
