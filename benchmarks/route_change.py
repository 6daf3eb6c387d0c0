"""From a returned ``kubectl apply`` of a route to the first request that follows it, in milliseconds.

A client sends requests through the ingress gateway without pause, on one connection; the route for /bench flips
between two direct answers. What is measured is the time between the end of ``kubectl apply`` and the first answer of
the new kind (0 when it was there already).
"""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Mapping

ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: bench, namespace: fleet}}
spec:
  hosts: [bench.example]
  gateways: [bench]
  http:
  - directResponse: {{status: {status}}}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bench, namespace: fleet}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [bench.example]
"""
STATUSES = (202, 203)


class Watcher:
    """Sends requests without pause and keeps when each status was first seen after the last `forget`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=10)
        self._seen: dict[int, float] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()
        self._connection.close()

    def _send(self) -> None:
        while not self._stopped:
            self._connection.request("GET", "/bench", headers={"Host": "bench.example"})
            answer = self._connection.getresponse()
            answer.read()
            with self._changed:
                self._seen.setdefault(answer.status, time.perf_counter())
                self._changed.notify_all()

    def forget(self) -> None:
        with self._changed:
            self._seen.clear()

    def first(self, status: int, patience: float = 30) -> float:
        """When `status` was first seen; waits for it. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: status in self._seen, patience):
                raise TimeoutError(f"no answer {status} within {patience} s")
            return self._seen[status]


def measure(variables: Mapping[str, str], address: str, rounds: int) -> list[float]:
    """Milliseconds of each round, after one that is not counted."""
    _apply(variables, GATEWAY)
    _apply(variables, ROUTE.format(status=STATUSES[0]))
    figures = []
    with Watcher(address) as watcher:
        watcher.first(STATUSES[0])
        for number in range(rounds + 1):
            wanted = STATUSES[(number + 1) % 2]
            watcher.forget()
            _apply(variables, ROUTE.format(status=wanted))
            returned = time.perf_counter()
            figures.append(max(0.0, (watcher.first(wanted) - returned) * 1000))
    return figures[1:]


def _apply(variables: Mapping[str, str], manifest: str) -> None:
    subprocess.run(
        ["kubectl", "apply", "-f", "-"],
        input=manifest.encode(),
        env=dict(variables),
        check=True,
        stdout=subprocess.DEVNULL,
    )
