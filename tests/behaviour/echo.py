"""The server of these tests: answers with what it got, and remembers what carried the header ``x-test``.

Run from its own source (``python -c``) in a pod, by whichever Python the image has: the standard library alone.

    GET /seen/ID    how many requests with ``x-test: ID`` came, and the last of them; itself not counted
    anything else   {"pod", "version", "method", "path", "headers"}; ``x-status: CODE`` chooses the status, with
                    ``x-pod: NAME`` in this pod alone; ``x-delay: SECONDS`` takes its time
"""

from __future__ import annotations

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 8080
SEEN: dict[str, list[dict[str, Any]]] = {}


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: the client does not wait for a second one.
    wbufsize = -1

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        request = {
            "pod": os.environ["POD"],
            "version": os.environ["VERSION"],
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): ",".join(self.headers.get_all(name, ())) for name in self.headers},
        }
        if self.path.startswith("/seen/"):
            requests = SEEN.get(self.path.removeprefix("/seen/"), [])
            self.send(200, {"count": len(requests), "last": requests[-1] if requests else None})
            return
        if test := self.headers.get("x-test"):
            SEEN.setdefault(test, []).append(request)
        time.sleep(float(self.headers.get("x-delay") or 0))
        meant = self.headers.get("x-pod", os.environ["POD"]) == os.environ["POD"]
        self.send(int(self.headers.get("x-status") or 200) if meant else 200, request)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def send(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("x-app", "echo")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the sidecar logs."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Echo).serve_forever()
