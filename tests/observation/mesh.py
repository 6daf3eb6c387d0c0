"""A cluster to observe, without one: objects that change, logs that are written, and what the probe says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from tests.observation.samples import PODS, SERVICES, Object, pod

from meshdojo.cluster.client import ObjectList, WatchEvent
from meshdojo.cluster.errors import StatusError, Unreachable
from meshdojo.cluster.streams import ExecResult

CREATED = "2026-01-02T00:00:00Z"
ISTIOD = {
    "metadata": {
        "name": "istiod",
        "namespace": "istio-system",
        "labels": {"app": "istiod"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
}
LOGS_ON = {"metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": "accessLogFile: /dev/stdout"}}
INSIDE, OUTSIDE = "meshdojo-probe", "meshdojo-outside"


def probe_pod(namespace: str, address: str) -> Object:
    found = pod("probe-6d5f-x2x4x", address, namespace, sidecar=namespace == INSIDE, app="probe")
    found["metadata"]["creationTimestamp"] = CREATED
    return found


def deployment(namespace: str) -> Object:
    return {"metadata": {"name": "probe", "namespace": namespace, "labels": {}}}


class Mesh:
    """Stands for an `HTTPClient`."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Object]] = {
            "pods": [*PODS, probe_pod(INSIDE, "10.0.0.8"), probe_pod(OUTSIDE, "10.0.0.9")],
            "services": list(SERVICES),
            "configmaps": [LOGS_ON],
            "deployments.apps": [ISTIOD, deployment(INSIDE), deployment(OUTSIDE)],
        }
        self.ran: list[tuple[str, list[str]]] = []
        self.following: set[str] = set()
        self.breaks = 0
        self.on_exec: Callable[[list[str]], Awaitable[ExecResult]] = self._answer
        self._version = 1
        self._changes: dict[str, asyncio.Queue[WatchEvent]] = {}
        self._logs: dict[str, asyncio.Queue[str | None]] = {}

    async def _answer(self, _command: list[str]) -> ExecResult:
        return ExecResult(0, json.dumps({"status": 200}).encode(), b"")

    # What a client has

    async def get(self, resource: str, name: str, namespace: str | None = None, **_: Any) -> Object:
        for obj in self.objects.get(resource, []):
            if (obj["metadata"]["namespace"], obj["metadata"]["name"]) == (namespace, name):
                return obj
        raise StatusError(404, "NotFound", f'{resource} "{name}" not found', {"name": name})

    async def list(self, resource: str, namespace: str | None = None, *, labels: str = "", **_: Any) -> ObjectList:
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        found = [
            obj
            for obj in self.objects.get(resource, [])
            if namespace in (None, obj["metadata"]["namespace"])
            and wanted.items() <= obj["metadata"].get("labels", {}).items()
        ]
        return ObjectList(found, "1")

    async def watch(self, resource: str, namespace: str | None = None, **_: Any) -> AsyncGenerator[WatchEvent, None]:
        while True:
            yield await self._changes.setdefault(resource, asyncio.Queue()).get()

    async def exec(
        self, namespace: str, pod: str, command: Sequence[str], container: str | None = None, **_: Any
    ) -> ExecResult:
        self.ran.append((namespace, list(command)))
        return await self.on_exec(list(command))

    async def follow_logs(
        self, namespace: str, pod: str, container: str | None = None, *, tail_lines: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        assert (container, tail_lines) == ("istio-proxy", 0)
        name = f"{namespace}/{pod}"
        queue = self._logs.setdefault(name, asyncio.Queue())
        self.following.add(name)
        try:
            while (line := await queue.get()) is not None:
                yield line.encode()
            self.breaks += 1
            raise Unreachable("the log broke off")
        finally:
            self.following.discard(name)

    # What happens in it

    def change(self, kind: Any, resource: str, obj: Object) -> None:
        """An object comes (ADDED), changes or goes (DELETED)."""
        self._version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self._changes.setdefault(resource, asyncio.Queue()).put_nowait(WatchEvent(kind, obj))

    def log(self, pod: str, line: str | None) -> None:
        """A proxy writes a line; None: the connection over which its log is read breaks."""
        self._logs.setdefault(pod, asyncio.Queue()).put_nowait(line)


async def until(true: Callable[[], bool]) -> None:
    """Let the others go on until something is so."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for is inside of what is tested
            await asyncio.sleep(0.001)


def line(
    request: str, cluster: str, upstream: str, caller: str, *, at: float = 0.0, agent: str = "curl", code: int = 200
) -> str:
    """A line of a proxy's log; `at`: seconds after the first."""
    return (
        f'[2026-11-28T16:20:{13 + at:06.3f}Z] "GET / HTTP/1.1" {code} - via_upstream - "-" 0 100 20 18 "-" "{agent}" '
        f'"{request}" "web" "{upstream}" {cluster} 10.0.0.1:4000 10.0.0.1:8080 {caller} - -'
    )
