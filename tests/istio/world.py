"""A mesh without a cluster: YAML objects, the real translation, ADS server and CA, real Envoys, tiny applications.

Each mesh has a block of loopback addresses of its own, far from those that environments take first.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from meshdojo import network
from meshdojo.istio import ads, agent
from meshdojo.istio.ca import CertificateAuthority
from meshdojo.istio.configs import KINDS
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.state import State
from meshdojo.istio.translation.translator import Cache, Translation

SECONDS = 60.0
M = TypeVar("M", bound="Mesh")
RESOURCES = {kind.TYPE.kind: kind.TYPE.resource for kind in KINDS} | {
    "Service": "services",
    "EndpointSlice": "endpointslices.discovery.k8s.io",
    "Pod": "pods",
    "Secret": "secrets",
}
MESH = "accessLogFile: /dev/stdout\nrootNamespace: istio-system\n"


def objects(text: str, namespace: str = "fleet") -> list[dict[str, Any]]:
    """The objects of a YAML stream, with defaults as the API server would set them."""
    found = [one for one in yaml.safe_load_all(text) if one]
    for one in found:
        one["metadata"].setdefault("namespace", namespace)
        one["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
    return found


def feed(state: State, text: str, namespace: str = "fleet") -> None:
    for one in objects(text, namespace):
        state.apply(RESOURCES[one["kind"]], None, one)


@dataclass
class Answer:
    """An HTTP answer, header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class App:
    """A tiny HTTP application: answers with its name, remembers the requests it got."""

    name: str
    status: int = 200
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, headers = await read_head(reader)
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line, headers))
                body = self.name.encode()
                head = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    pairs = (line.split(":", 1) for line in lines if line)
    return first, {name.lower(): value.strip() for name, value in pairs}


async def send(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
) -> Answer:
    """One request on an open connection."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()
    first, found = await read_head(reader)
    body = await reader.readexactly(int(found.get("content-length", 0)))
    return Answer(int(first.split()[1]), found, body)


@dataclass
class Pod:
    """A pod of the test mesh."""

    name: str
    ip: str
    app: App | None
    log: Path
    process: asyncio.subprocess.Process | None = None
    port: int = 8080

    async def open(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect as the pod's application does: through the sidecar, behind a PROXY header."""
        if self.process is None:
            return await asyncio.open_connection(address, network.mapped_port(port), local_addr=(self.ip, 0))
        reader, writer = await asyncio.open_connection(network.twin(self.ip), 15001)
        writer.write(f"PROXY TCP4 {self.ip} {address} 40000 {port}\r\n".encode())
        return reader, writer

    async def get(
        self,
        address: str,
        port: int,
        host: str,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Answer:
        reader, writer = await self.open(address, port)
        try:
            return await asyncio.wait_for(send(reader, writer, host, path, headers, method), SECONDS)
        finally:
            writer.close()

    def logged(self) -> str:
        return self.log.read_text()


def snapshot(text: str, mesh: str = MESH) -> Snapshot:
    """The state of a cluster that holds these objects."""
    state = State()
    state.set_mesh(mesh)
    feed(state, text)
    return state.snapshot()


def within(successes: int, trials: int, share: float, error: float = 1e-9) -> bool:
    """Whether the exact binomial two-sided test keeps `share`, with this chance of rejecting a true one."""
    below = sum(_probability(trials, k, share) for k in range(successes + 1))
    above = sum(_probability(trials, k, share) for k in range(successes, trials + 1))
    return min(below, above) > error / 2


def _probability(trials: int, successes: int, share: float) -> float:
    return math.comb(trials, successes) * share**successes * (1 - share) ** (trials - successes)


class Mesh:
    """The control plane and the pods. Use `mesh()`."""

    def __init__(self, run: Path, block: network.Block) -> None:
        self.run = run
        self.block = block
        self.state = State()
        self.state.set_mesh(MESH)
        self.authority = CertificateAuthority.create()
        self.cache = Cache()
        self.refusals: list[ads.Refusal] = []
        self.server = ads.Server(self._translation(), self.refusals.append)
        self.pods: dict[str, Pod] = {}
        self._stack = AsyncExitStack()
        self._count = 0

    @property
    def xds(self) -> Path:
        return agent.xds_socket(self.run, "default")

    def restart_server(self) -> None:
        """A new istiod: it knows the same objects, but no proxy."""
        self.cache = Cache()
        self.server = ads.Server(self._translation(), self.refusals.append)

    def _translation(self) -> Translation:
        return Translation(self.state.snapshot(), self.authority, self.cache)

    def service_ip(self, number: int) -> str:
        return str(self.block.services[256 + number])

    def apply(self, text: str, namespace: str = "fleet") -> None:
        """Put objects in place and hand the change to the proxies."""
        feed(self.state, text, namespace)
        self.server.publish(self._translation())

    def delete(self, text: str, namespace: str = "fleet") -> None:
        for one in objects(text, namespace):
            self.state.apply(RESOURCES[one["kind"]], one, None)
        self.server.publish(self._translation())

    async def synced(self) -> None:
        """Wait until every proxy has acknowledged everything; none may have refused anything."""
        async with asyncio.timeout(SECONDS):
            await self.server.synced()
        assert not self.refusals, self.refusals

    async def pod(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        *,
        sidecar: bool = True,
        role: str = "sidecar",
        namespace: str = "fleet",
        app: App | None = None,
        port: int = 8080,
        environment: Mapping[str, str] | None = None,
    ) -> Pod:
        """A running pod: its object, its application (none for gateways), and its Envoy."""
        self._count += 1
        ip = str(self.block.pods[256 + self._count])
        if role == "sidecar":
            app = app or App(name)
            address = network.twin(ip) if sidecar else ip
            server = await asyncio.start_server(app.serve, address, network.mapped_port(port))
            await self._stack.enter_async_context(server)
        labels = dict(labels or {})
        if sidecar and role == "sidecar":
            labels["security.istio.io/tlsMode"] = "istio"
        self.apply(yaml.safe_dump(pod_object(name, namespace, ip, labels, port, sidecar)))
        found = Pod(name, ip, app, self.run / f"{name}.log", port=port)
        if sidecar:
            found.process = await self._envoy(found, role, namespace, environment or {})
        self.pods[name] = found
        return found

    async def _envoy(self, pod: Pod, role: str, namespace: str, more: Mapping[str, str]) -> asyncio.subprocess.Process:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "MESHDOJO_RUN": str(self.run),
            "MESHDOJO_POD_UID": pod.name,
            "POD_NAME": pod.name,
            "POD_NAMESPACE": namespace,
            "INSTANCE_IP": pod.ip,
            "SERVICE_ACCOUNT": pod.name,
            **more,
        }
        with pod.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "meshdojo.istio.agent", "proxy", role),
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._stack.push_async_callback(_end, process)
        return process

    async def ready(self, *pods: Pod) -> None:
        """Wait until Envoy says so, as the kubelet's probe does."""
        async with asyncio.timeout(SECONDS):
            for pod in pods:
                while not await _is_ready(pod):
                    assert pod.process is None or pod.process.returncode is None, pod.logged()
                    await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self._stack.aclose()
        await self.server.stop()


async def _is_ready(pod: Pod) -> bool:
    if pod.process is None:
        return True
    try:
        reader, writer = await asyncio.open_connection(pod.ip, 15021)
    except OSError:
        return False
    try:
        return (await send(reader, writer, "probe", "/healthz/ready")).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


def pod_object(
    name: str, namespace: str, ip: str, labels: Mapping[str, str], port: int, sidecar: bool
) -> dict[str, Any]:
    sidecars = [{"name": "istio-proxy", "restartPolicy": "Always"}] if sidecar else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels), "uid": name},
        "spec": {
            "serviceAccountName": name,
            "initContainers": sidecars,
            "containers": [{"name": "app", "ports": [{"containerPort": port}]}],
        },
        "status": {"phase": "Running", "podIP": ip},
    }


def service_objects(
    name: str,
    cluster_ip: str,
    selector: Mapping[str, str],
    pods: Iterable[Pod],
    ports: Iterable[tuple[str, int, int]] = (("http", 8080, 8080),),
    namespace: str = "fleet",
) -> str:
    """A Service (ports as (name, port, target)) and its EndpointSlice."""
    entries = list(ports)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "selector": dict(selector),
            "ports": [{"name": one, "port": port, "targetPort": target} for one, port, target in entries],
        },
    }
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "ports": [{"name": one, "port": target} for one, _, target in entries],
        "endpoints": [
            {
                "addresses": [pod.ip],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod.name, "namespace": namespace},
            }
            for pod in pods
        ],
    }
    return yaml.safe_dump_all([service, slice_])


@contextmanager
def free_block() -> Iterator[network.Block]:
    """A block that nobody uses, held as an environment holds it: by a listening socket on the node's address."""
    for index in reversed(range(network.BLOCKS)):
        block = network.Block(index)
        with socket.socket() as listener:
            try:
                listener.bind((str(block.node), 6443))
                listener.listen()
            except OSError:
                continue
            yield block
            return
    raise RuntimeError("all blocks of loopback addresses are in use")


@asynccontextmanager
async def mesh(kind: type[M]) -> AsyncIterator[M]:
    """A mesh for the length of a test."""
    with free_block() as block, run_directory() as run:
        found = kind(run, block)
        try:
            await found.server.start(found.xds)
            yield found
        finally:
            await found.close()


@contextmanager
def run_directory() -> Iterator[Path]:
    """A short path: Unix sockets lie in it."""
    run = Path(tempfile.mkdtemp(prefix="mesh-", dir="/tmp"))
    try:
        yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)
