"""A node over a real API in process, with a block of addresses of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.images import Image
from meshdojo.kubelet.kubelet import NODE_NAME, Kubelet
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.controllers.manager import Controllers
from meshdojo.kubernetes.controllers.nodes import NodeFacts
from meshdojo.kubernetes.node import LogOptions
from meshdojo.kubernetes.store import Store
from meshdojo.network import BLOCKS, Block

SECONDS = 30
PYTHON = Image(("test/python",), ("python",), environment={"PYTHONUNBUFFERED": "1"})
SERVER = Image(
    ("test/server",),
    ("python", "-m", "http.server"),
    ("8080",),
    environment={"PYTHONUNBUFFERED": "1"},
)


@pytest.fixture(name="block")
def block_fixture() -> Iterator[Block]:
    """A block that nobody uses, held as an environment holds it: by a listening socket on the node's address."""
    for index in reversed(range(BLOCKS)):
        listener = socket.socket()
        try:
            listener.bind((str(Block(index).node), 6443))
            listener.listen()
        except OSError:
            listener.close()
            continue
        with listener:
            yield Block(index)
        return
    pytest.fail("all address blocks are in use")


@pytest.fixture(name="run_directory")
def run_directory_fixture() -> Iterator[Path]:
    """A short path: Unix sockets lie in it."""
    directory = Path(tempfile.mkdtemp(prefix="mdk", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


class Cluster:
    """What a test works with: the API, the node, and a few shortcuts."""

    def __init__(self, api: Api, controllers: Controllers, make: Callable[[Lifeline], Kubelet]) -> None:
        self.api = api
        self.controllers = controllers
        self.lifeline = Lifeline.make()  # held here as a keeper holds it
        self._make = make
        self._others: set[asyncio.Task[Any]] = set()
        self._zygotes: list[subprocess.Popen[bytes]] = []
        self.kubelet = make(self.lifeline)

    async def start(self) -> None:
        """Start the node."""
        self._others = asyncio.all_tasks()
        await self.kubelet.start()
        process = self.kubelet.zygote._process
        if process is not None and process._child is not None:
            self._zygotes.append(process._child)

    async def crash(self) -> None:
        """As after a kill -9 of the kubelet's process: nothing is said to anybody, what was open there is closed."""
        kubelet, loop = self.kubelet, asyncio.get_running_loop()
        zygote, kubelet._stopping = kubelet.zygote, True
        assert zygote._control is not None
        loop.remove_reader(zygote._control.fileno())
        zygote._control.close()
        zygote._control = None
        tasks = asyncio.all_tasks() - self._others - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        for exited in zygote._running.values():
            if not exited.done():
                exited.set_result(-9)
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in kubelet._workers.values():
            for container in worker.containers:
                container.input.close()
                if container.log is not None:
                    container.log.close()
        kubelet._workers.clear()
        await kubelet.resolver.close()
        for descriptor in zygote._kept.values():
            os.close(descriptor)

    async def revive(self) -> None:
        """Another kubelet, in the place of the one that crashed."""
        before, (near, far) = self.lifeline, self.lifeline.descriptors
        self.lifeline = Lifeline.take(os.dup(near), os.dup(far))
        before.close()
        self.kubelet = self._make(self.lifeline)
        await self.start()

    async def stop(self) -> None:
        """Stop the node."""
        await self.kubelet.stop()
        self.lifeline.close()
        for zygote in self._zygotes:
            zygote.wait()

    async def apply(self, kind: str, name: str, **fields: Any) -> Object:
        """Create an object in the namespace default."""
        plural = {"Pod": "pods", "Service": "services", "ConfigMap": "configmaps", "Secret": "secrets"}[kind]
        metadata = {"name": name, "labels": fields.pop("labels", {"app": name})}
        obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}
        return await self.api.create(plural, obj, "default")

    async def pod(self, name: str, *containers: Object, **spec: Any) -> Object:
        """Create a pod. A container without an image is one of Python."""
        full = [{"name": f"c{index}", "image": "test/python:1", **one} for index, one in enumerate(containers)]
        return await self.apply("Pod", name, spec={"containers": full, "terminationGracePeriodSeconds": 5, **spec})

    async def until(self, name: str, condition: Callable[[Object], Any]) -> Object:
        """The pod, as soon as `condition` holds."""
        seen: Object = {}
        try:
            async with asyncio.timeout(SECONDS):
                async for event in self.api.watch("pods", "default", fields=f"metadata.name={name}"):
                    seen = event.object
                    if event.type != "BOOKMARK" and condition(seen):
                        return seen
        except TimeoutError:
            pass
        pytest.fail(f"the condition was not met; last seen: {seen.get('status')}")

    def is_ready(self, pod: Object) -> bool:
        """Whether the pod's condition Ready is true."""
        return is_ready(pod)

    async def ready(self, name: str) -> Object:
        return await self.until(name, is_ready)

    async def gone(self, name: str) -> None:
        """Wait until the pod is deleted."""
        listed = await self.api.list("pods", "default", fields=f"metadata.name={name}")
        if not listed.items:
            return
        async with asyncio.timeout(SECONDS):
            async for event in self.api.watch(
                "pods", "default", fields=f"metadata.name={name}", since=listed.resource_version
            ):
                if event.type == "DELETED":
                    return

    async def logs(self, name: str, container: str = "", **options: Any) -> str:
        lines = await self.kubelet.logs("default", name, LogOptions(container=container, **options))
        return b"".join([line async for line in lines]).decode()

    async def logged(self, name: str, text: str, container: str = "") -> str:
        """The pod's log, as soon as it has `text` in it."""
        seen = ""
        async with asyncio.timeout(SECONDS):
            async for line in await self.kubelet.logs("default", name, LogOptions(container=container, follow=True)):
                seen += line.decode()
                if text in seen:
                    return seen
        pytest.fail(f"the log ended without {text!r}: {seen!r}")

    async def served(self, name: str) -> None:
        """Wait until the node knows a ready endpoint of a service."""
        obj = await self.api.get("services", name, "default")
        async with asyncio.timeout(SECONDS):
            while not list(self.kubelet.resolver.backends(obj, obj["spec"]["ports"][0])):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def exec(
        self, name: str, *command: str, container: str = "", stdin: bytes | None = None
    ) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)."""
        process = await self.kubelet.exec("default", name, container, list(command), stdin=stdin is not None, tty=False)
        if stdin is not None:
            await process.write_stdin(stdin)
            await process.close_stdin()

        async def text(chunks: AsyncIterator[bytes]) -> str:
            return b"".join([chunk async for chunk in chunks]).decode()

        async with asyncio.timeout(SECONDS):
            out, err = await asyncio.gather(text(process.stdout()), text(process.stderr()))
            return await process.wait(), out, err

    async def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of the pod's events so far."""
        await self.kubelet.events.written()
        found = (await self.api.list("events", "default", fields=f"involvedObject.name={name}")).items
        return [(event["reason"], event["message"]) for event in found if event["source"]["component"] == "kubelet"]


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.fixture(name="start")
def start_fixture(block: Block, run_directory: Path) -> Callable[..., AbstractAsyncContextManager[Cluster]]:
    """``async with start(store=..., images=[...]) as it``: a cluster whose node knows the test images and `images`."""

    @asynccontextmanager
    async def start(store: Store | None = None, images: Sequence[Image] = ()) -> AsyncIterator[Cluster]:
        api = Api(store or Store(), block)
        node = NodeFacts(NODE_NAME, str(block.node), "v1.34.4")
        controllers = Controllers(api, node=node, ca="test", volumes=run_directory / "volumes")
        preload = ("http.server", "http.client")

        def make(lifeline: Lifeline) -> Kubelet:
            return Kubelet(
                api,
                block,
                run_directory,
                [PYTHON, SERVER, *images],
                preload=preload,
                informers=controllers.informers,
                events=controllers.events,
                lifeline=lifeline,
            )

        await bootstrap(api, host=str(block.node), port=6443)
        async with controllers:
            cluster = Cluster(api, controllers, make)
            await cluster.start()
            try:
                yield cluster
            finally:
                await cluster.stop()

    return start
