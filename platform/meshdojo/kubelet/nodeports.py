"""Keeps the node proxy running, and tells it which ports to serve (see `nodeproxy`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Informer
from meshdojo.kubelet.resolver import Resolver
from meshdojo.kubelet.spawn import Ends, ProcessSpec, Spawned, SpawnError, Zygote

NODE_PROXY = "nodeproxy"  # its name as a container
_RESTART_SECONDS = 0.5


class NodePorts:
    """Follows services and their endpoints."""

    def __init__(self, zygote: Zygote, resolver: Resolver, services: Informer, slices: Informer, node_ip: str) -> None:
        self._zygote = zygote
        self._resolver = resolver
        self._services = services
        self._slices = slices
        self._node_ip = node_ip
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._inherited: int | None = None
        self.process: Spawned | None = None  # the proxy, for as long as it runs

    def start(self) -> None:
        """Serve in the background."""
        self._inherited = self._take_over()
        self._services.subscribe(self._on_change)
        self._slices.subscribe(self._on_change)
        self._task = asyncio.create_task(self._run(), name="node ports")

    async def stop(self) -> None:
        """Follow the services no more. The node proxy ends with the zygote."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _on_change(self, change: str, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    def table(self) -> dict[str, list[tuple[str, int]]]:
        """Node port -> the addresses that serve it."""
        return {
            str(port["nodePort"]): sorted(set(self._resolver.backends(service, port)))
            for service in self._services.items()
            for port in service["spec"].get("ports") or ()
            if port.get("nodePort") and port.get("protocol", "TCP") == "TCP"
        }

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except (SpawnError, OSError):
                await asyncio.sleep(_RESTART_SECONDS)

    async def _serve(self) -> None:
        """One run of the proxy, to its unexpected end."""
        writing, self._inherited = self._inherited, None
        if writing is None:
            reading, writing = os.pipe()
            try:
                self.process = await self._start(reading, writing)
            except BaseException:
                os.close(writing)
                raise
            finally:
                os.close(reading)
        try:
            assert self.process is not None
            await self._tell(self.process, writing)
        finally:
            os.close(writing)

    def _take_over(self) -> int | None:
        """Go on with the proxy of an earlier run of this node: the end that it is told by, None without one."""
        survivor = self._zygote.survivor(NODE_PROXY)
        if survivor is None:
            return None
        if survivor.status is not None or survivor.input < 0:
            if survivor.input >= 0:
                os.close(survivor.input)
            return None
        self.process = self._zygote.adopt(survivor)
        return survivor.input

    async def _start(self, stdin: int, writing: int) -> Spawned:
        spec = ProcessSpec(
            argv=("python", "-m", "meshdojo.kubelet.nodeproxy", self._node_ip),
            env={"PATH": os.defpath},
            cwd="/",
            container=NODE_PROXY,
            main=True,
            title="nodeproxy",
        )
        return await self._zygote.spawn(spec, stdin, 1, 2, ends=Ends(input=writing))

    async def _tell(self, proxy: Spawned, writing: int) -> None:
        told: dict[str, list[tuple[str, int]]] | None = None
        proxy.exited.add_done_callback(lambda _: self._changed.set())
        while not proxy.exited.done():
            self._changed.clear()
            table = self.table()
            if table != told:
                # The line before may have been cut off by its writer's end: it is ended.
                await asyncio.to_thread(_write, writing, b"\n" + json.dumps(table).encode() + b"\n")
                told = table
            await self._changed.wait()


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended: seen by its exit
        while data:
            data = data[os.write(descriptor, data) :]
