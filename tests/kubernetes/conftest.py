"""An API server for tests: on a free loopback port, with a journal in a temporary directory and a node without pods."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from meshdojo.embedded.certificates import write_serving_certificate
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.journal import Journal
from meshdojo.kubernetes.node import LogOptions, NodeUsage, Process, Usage
from meshdojo.kubernetes.requests import ADMIN
from meshdojo.kubernetes.server import Server
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

T = TypeVar("T")
TOKEN = "test-token"
PATIENCE_SECONDS = 30


@dataclass
class FakeNode:
    """A node without pods. `addresses` says where (pod IP, port) really is."""

    addresses: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    used: NodeUsage = field(default_factory=lambda: NodeUsage(Usage(0.5, 2**29, 15.0), {}))

    async def usage(self) -> NodeUsage:
        return self.used

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        raise StatusError(400, "BadRequest", f"pod {pod} does not run here")

    async def exec(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> Process:
        raise StatusError(400, "BadRequest", f"pod {pod} does not run here")

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> Process:
        raise StatusError(400, "BadRequest", f"pod {pod} does not run here")

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise StatusError(400, "BadRequest", f"pod {pod} does not run here")

    def transport(self, address: str, port: int) -> tuple[str, int]:
        if (address, port) not in self.addresses:
            raise ConnectionRefusedError
        return self.addresses[address, port]


@dataclass
class Cluster:
    """A running API server. Its event loop runs in a thread, so that tests can wait for programs."""

    directory: Path
    node: FakeNode = field(default_factory=FakeNode)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="API server")
        self._thread.start()
        write_serving_certificate(self.directory, ["127.0.0.1"])
        self.run(self._start())
        self.kubeconfig = self._write_kubeconfig()

    async def _start(self) -> None:
        self.api = Api(Store(Journal(self.directory / "journal")), Block(0), tokens={TOKEN: ADMIN})
        certificate, key = self.directory / "server.crt", self.directory / "server.key"
        self.server = Server(self.api, self.node, host="127.0.0.1", port=0, certificate=certificate, key=key)
        await self.server.start()
        await bootstrap(self.api, host="127.0.0.1", port=self.server.port)
        await self.api.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    def _write_kubeconfig(self) -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.directory / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path = self.directory / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def stop(self) -> None:
        self.run(self.server.stop())
        self.run(self.api.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One server for all tests of a file: use names of your own."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.stop()


@dataclass(frozen=True)
class Output:
    """What a command printed."""

    code: int
    out: str
    err: str


Kubectl = Callable[..., Output]


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Run kubectl against the server: ``kubectl("get", "pods", stdin="...")``."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(home)}

    def run(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Output:
        done = subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment | (env or {}),
            timeout=PATIENCE_SECONDS,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def api() -> Api:
    """An API in process, without a journal or a server; the namespace ``default`` with its service account is there."""
    made = Api(Store(), Block(0))
    asyncio.run(_furnish(made))
    return made


async def _furnish(api: Api) -> None:
    await bootstrap(api, host="127.0.0.1", port=6443)
    await api.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
