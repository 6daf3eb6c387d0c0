"""The mesh as the pages show it: one observer of the cluster, for everybody who looks, as long as somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from meshdojo.checks.outcome import CannotJudge
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.errors import UserError
from meshdojo.observation import details as closely
from meshdojo.observation import trace as tracing
from meshdojo.observation.load import Load, Wish
from meshdojo.observation.observer import Observer

LINGER = 15.0
LOOK_SECONDS = 1.0


class MeshError(UserError):
    """The mesh cannot be shown, or not that of it; the text says why."""


class MeshView(Protocol):
    """What the pages ask. Every method but `pictures` raises `MeshError` when there is no mesh."""

    def pictures(self) -> AsyncIterator[dict[str, Any]]:
        """The picture and the switch, now and after every change: see `observation.picture.draw`.

        ``{"problem": TEXT}`` while there is no mesh. It ends only when it is closed.
        """
        ...

    async def details(self, node: str) -> dict[str, Any]:
        """One node closely. Raises `MeshError` when it is not in the mesh any more."""
        ...

    async def trace(self, request: tracing.Request) -> dict[str, Any]:
        """Send one request, and tell its way, hop by hop. Raises `MeshError`."""
        ...

    async def traffic(self, wish: Wish | None) -> None:
        """Send requests steadily as wished, until wished otherwise; None for no more."""
        ...

    async def close(self) -> None:
        """Let go of the cluster, and end the traffic."""
        ...


class ClusterView(MeshView):
    """The mesh behind a kubeconfig, opened anew when that becomes another one."""

    def __init__(self, kubeconfig: Callable[[], Path], refreshed: Callable[[], Awaitable[None]]) -> None:
        self._kubeconfig = kubeconfig
        self._refreshed = refreshed
        self._lock = asyncio.Lock()
        self._open: _Open | None = None
        self._watchers = 0
        self._closing: asyncio.TimerHandle | None = None

    async def pictures(self) -> AsyncIterator[dict[str, Any]]:
        async with self._watching():
            while True:
                try:
                    mesh = await self._mesh()
                except (MeshError, ClusterError, OSError) as error:
                    yield {"problem": str(error)}
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                async for picture in mesh.observer.pictures():
                    if mesh.has_new_gateways(picture):
                        await self._refreshed()
                    yield {**picture, "traffic": mesh.switch()}
                    if mesh.is_over():
                        break

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        self._watchers += 1
        if self._closing:
            self._closing.cancel()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                loop = asyncio.get_running_loop()
                self._closing = loop.call_later(LINGER, lambda: loop.create_task(self._leave()))

    async def _leave(self) -> None:
        if not self._watchers:
            await self.close()

    async def _mesh(self) -> _Open:
        async with self._lock:
            if self._open and self._open.is_over():
                await self._shut()
            if self._open is None:
                path = self._kubeconfig()
                if not path.exists():
                    raise MeshError("No mesh is running.")
                self._open = await _Open.of(path)
            return self._open

    async def details(self, node: str) -> dict[str, Any]:
        mesh = await self._mesh()
        found = await closely.details(mesh.client, mesh.observer, node)
        if found is None:
            raise MeshError(f"There is no {node[:100]!r} in the mesh any more.")
        return found

    async def trace(self, request: tracing.Request) -> dict[str, Any]:
        mesh = await self._mesh()
        try:
            return await tracing.trace(mesh.client, mesh.observer, request)
        except CannotJudge as error:
            raise MeshError(str(error)) from error

    async def traffic(self, wish: Wish | None) -> None:
        mesh = await self._mesh()
        if wish:
            mesh.load.on(wish)
        else:
            await mesh.load.off()

    async def close(self) -> None:
        async with self._lock:
            await self._shut()

    async def _shut(self) -> None:
        if self._open:
            mesh, self._open = self._open, None
            with contextlib.suppress(ClusterError):
                await mesh.stack.aclose()


class _Open:
    """A cluster that is being looked at."""

    def __init__(self, path: Path, client: HTTPClient, observer: Observer, load: Load, stack: AsyncExitStack) -> None:
        self.client, self.observer, self.load, self.stack = client, observer, load, stack
        self._path, self._stamp = path, _stamp(path)
        self._gateways: frozenset[str] = frozenset()

    @classmethod
    async def of(cls, path: Path) -> _Open:
        stack = AsyncExitStack()
        client = await stack.enter_async_context(HTTPClient.from_kubeconfig(path))
        observer = await stack.enter_async_context(Observer(client))
        load = Load(client)
        stack.push_async_callback(load.close)
        return cls(path, client, observer, load, stack)

    def has_new_gateways(self, picture: dict[str, Any]) -> bool:
        """Whether gateways came or went since the last picture: then $GATEWAY_URL is another one."""
        now = frozenset(node["id"] for node in picture["nodes"] if node["kind"] == "gateway")
        before, self._gateways = self._gateways, now
        return before != now

    def is_over(self) -> bool:
        """Whether the kubeconfig is another one now: another start, another address."""
        return _stamp(self._path) != self._stamp

    def switch(self) -> dict[str, Any]:
        """What is being sent."""
        wish = self.load.wish
        return {"on": wish is not None, "problem": self.load.problem, **(asdict(wish) if wish else {})}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
