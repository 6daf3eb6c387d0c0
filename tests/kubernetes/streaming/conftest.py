"""A node whose containers are processes of this machine, and an API server with nothing but streams."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import discovery, errors, streaming
from meshdojo.kubernetes.node import LogOptions, NodeUsage, Usage
from meshdojo.kubernetes.resources import Catalogue

POD: Object = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "nodeName": "n",
        "initContainers": [{"name": "proxy", "image": "i", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "image": "i"}],
    },
    "status": {"phase": "Running"},
}
TWO: Object = {
    **POD,
    "metadata": {"name": "two", "namespace": "default"},
    "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]},
}
PENDING: Object = {
    **POD,
    "metadata": {"name": "pending", "namespace": "default"},
    "spec": {"containers": [{"name": "a", "image": "i"}]},
}
PODS = {pod["metadata"]["name"]: pod for pod in (POD, TWO, PENDING)}


class Piped:
    """A process with pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def write_stdin(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def close_stdin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def stdout(self) -> AsyncIterator[bytes]:
        return _chunks(self._process.stdout)

    def stderr(self) -> AsyncIterator[bytes]:
        return _chunks(self._process.stderr)

    async def resize(self, width: int, height: int) -> None:
        raise AssertionError("only a terminal has a size")

    async def wait(self) -> int:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


class Terminal(Piped):
    """A process with a pty."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        super().__init__(process)
        self._master = master

    async def write_stdin(self, data: bytes) -> None:
        os.write(self._master, data)

    async def close_stdin(self) -> None:
        os.write(self._master, b"\x04")

    async def stdout(self) -> AsyncIterator[bytes]:
        while True:
            try:
                data = await asyncio.to_thread(os.read, self._master, 4096)
            except OSError:
                return
            yield data

    async def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


async def _chunks(reader: asyncio.StreamReader | None) -> AsyncIterator[bytes]:
    assert reader is not None
    while data := await reader.read(4096):
        yield data


@dataclass
class LocalNode:
    """Every container is this machine. `ports` maps ports of pods to ports of this machine."""

    ports: dict[int, int] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=lambda: [b"one\n", b"two\n"])
    asked: list[LogOptions] = field(default_factory=list)

    async def usage(self) -> NodeUsage:
        return NodeUsage(Usage(0, 0, 1), {})

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        if options.previous:
            raise errors.bad_request(f'previous terminated container "{options.container}" in pod "{pod}" not found')

        async def lines() -> AsyncIterator[bytes]:
            for line in self.lines:
                yield line

        return lines()

    async def exec(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> Piped:
        if container == "proxy":
            raise StatusError(500, "InternalError", 'unable to upgrade connection: container not found ("proxy")')
        if tty:
            return await self._terminal(command)
        pipe = asyncio.subprocess.PIPE
        stdin_of = pipe if stdin else asyncio.subprocess.DEVNULL
        return Piped(await asyncio.create_subprocess_exec(*command, stdin=stdin_of, stdout=pipe, stderr=pipe))

    async def _terminal(self, command: list[str]) -> Terminal:
        master, slave = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        return Terminal(process, master)

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> Piped:
        return await self.exec(namespace, pod, container, ["sh", "-c", "echo attached; exit 4"], stdin=stdin, tty=tty)

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if port not in self.ports:
            raise ConnectionRefusedError(111, "Connection refused")
        return await asyncio.open_connection("127.0.0.1", self.ports[port])

    def transport(self, address: str, port: int) -> tuple[str, int]:
        raise ConnectionRefusedError


async def _get_pod(namespace: str, name: str) -> Object:
    if name not in PODS:
        pods = Catalogue.builtin().by_name("pods")
        assert pods is not None
        raise errors.not_found(pods, name)
    return PODS[name]


def _application(node: LocalNode) -> Starlette:
    catalogue = Catalogue.builtin()

    async def core(_: Request) -> Response:
        return Response(orjson.dumps(discovery.aggregated_core(catalogue)), media_type=discovery.AGGREGATED)

    async def groups(_: Request) -> Response:
        return Response(orjson.dumps(discovery.aggregated_groups(catalogue)), media_type=discovery.AGGREGATED)

    async def pod(request: Request) -> Response:
        try:
            found = await _get_pod("default", request.path_params["name"])
        except StatusError as error:
            return Response(orjson.dumps(error.status()), error.code, media_type="application/json")
        return Response(orjson.dumps(found), media_type="application/json")

    plain = [
        Route("/api", core),
        Route("/apis", groups),
        Route("/api/v1/namespaces/default/pods/{name}", pod),
    ]
    return Starlette(routes=[*plain, *streaming.routes(node, _get_pod)])


@dataclass(frozen=True)
class Server:
    """A running server: its port, its node, and a kubeconfig for it."""

    port: int
    node: LocalNode
    kubeconfig: Path


@pytest.fixture(name="server")
def serve_streams(tmp_path: Path) -> Iterator[Server]:
    """The streams of a `LocalNode` over HTTP on a free port."""
    node = LocalNode()
    config = uvicorn.Config(_application(node), port=0, ws="wsproto", log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def startup_and_say(*args: object, **kwargs: object) -> None:
        await startup(*args, **kwargs)  # type: ignore[arg-type]
        started.set()

    server.startup = startup_and_say  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Server(port, node, _kubeconfig(tmp_path, port))
    server.should_exit = True
    server.force_exit = True
    thread.join(30)


def _kubeconfig(folder: Path, port: int) -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: a, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: a, context: {{cluster: a}}}}]
current-context: a
"""
    )
    return path
