"""Keeps the picture of a mesh up to date while somebody looks: watches its objects, follows its proxies' logs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from meshdojo.checks.pods import has_sidecar
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.informer import Informers
from meshdojo.observation import accesslog
from meshdojo.observation.accesslog import Entry
from meshdojo.observation.picture import Picture, draw
from meshdojo.observation.policies import Config
from meshdojo.observation.traffic import Traffic
from meshdojo.observation.workloads import Group, Workload, by_address, groups, is_gateway

PROXY = "istio-proxy"
# A change of the objects is drawn soon; numbers move at this pace.
COALESCE_SECONDS = 0.05
PACE_SECONDS = 0.5
SYNC_SECONDS = 5.0
RETRY_SECONDS = 1.0
KEPT_ENTRIES = 5000
FROM_LOGS = "access logs of the proxies"
NO_LOGS = "access logs are off in this mesh (meshConfig.accessLogFile), so there are no numbers"

_CORE = ("pods", "services")
_ISTIO = {
    "virtual_services": "virtualservices.networking.istio.io",
    "destination_rules": "destinationrules.networking.istio.io",
    "peer_authentications": "peerauthentications.security.istio.io",
    "gateways": "gateways.networking.istio.io",
}

log = logging.getLogger(__name__)

Seen = Callable[[str, Entry], None]


class Observer:
    """Looks at one cluster; an async context manager that watches while it is open."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._informers = Informers(client)
        self._core = {name: self._informers.of(name) for name in _CORE}
        self._istio = {name: self._informers.of(kind, optional=True) for name, kind in _ISTIO.items()}
        self._changed = asyncio.Event()
        self._followers: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._groups: list[Group] = []
        self._addresses: Any = {}
        self._hosts: dict[str, str] = {}
        self._readers: set[Seen] = set()
        self.traffic = Traffic(time.monotonic)
        self.entries: deque[tuple[str, Entry]] = deque(maxlen=KEPT_ENTRIES)
        self.source = FROM_LOGS
        for informer in (*self._core.values(), *self._istio.values()):
            informer.subscribe(lambda _change, _old, _new: self._changed.set())

    async def __aenter__(self) -> Self:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._informers.start(), SYNC_SECONDS)
        self._arrange()
        self._task = asyncio.create_task(self._rearrange(), name="mesh observer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._followers.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._informers.stop()

    # What is there

    @property
    def groups(self) -> list[Group]:
        """The nodes, as they are now."""
        return self._groups

    @property
    def config(self) -> Config:
        """The resources that steer traffic, as they are now."""
        return Config(**{name: tuple(informer.items()) for name, informer in self._istio.items()})

    def find(self, address: str) -> tuple[Group, Workload, Object] | None:
        """Who has this address."""
        found: tuple[Group, Workload, Object] | None = self._addresses.get(address)
        return found

    def picture(self) -> Picture:
        """The mesh as it is now."""
        return draw(self._groups, self.config, self.traffic.flows, time.monotonic(), self.source)

    async def pictures(self) -> AsyncIterator[Picture]:
        """The mesh now, and each time that it looks different."""
        shown: Picture | None = None
        while True:
            picture = self.picture()
            if picture != shown:
                shown = picture
                yield picture
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), PACE_SECONDS)
                await asyncio.sleep(COALESCE_SECONDS)

    @contextlib.contextmanager
    def reading(self, seen: Seen) -> Iterator[None]:
        """Hand every entry that is logged meanwhile, with the name of the pod that logged it, to `seen`."""
        self._readers.add(seen)
        try:
            yield
        finally:
            self._readers.discard(seen)

    # How it is kept up to date

    async def _rearrange(self) -> None:
        changed = asyncio.Event()
        for informer in self._core.values():
            informer.subscribe(lambda _change, _old, _new: changed.set())
        await self._look_for_logs()
        while True:
            await changed.wait()
            await asyncio.sleep(COALESCE_SECONDS)
            changed.clear()
            self._arrange()
            await self._look_for_logs()

    def _arrange(self) -> None:
        pods = self._core["pods"].items()
        self._groups = groups(self._core["services"].items(), pods)
        self._addresses = by_address(self._groups)
        self._hosts = {
            f"{group.name}.{group.namespace}.svc.cluster.local": group.id for group in self._groups if group.service
        }
        wanted = {_key(pod): pod for pod in pods if _logs(pod)}
        for key in [key for key in self._followers if key not in wanted]:
            self._followers.pop(key).cancel()
        for key in wanted:
            if key not in self._followers:
                self._followers[key] = asyncio.create_task(self._follow(*key), name=f"log of {key[1]}")
        self._changed.set()

    async def _look_for_logs(self) -> None:
        try:
            found = await self._client.get("configmaps", "istio", "istio-system")
        except ClusterError:
            return
        mesh = found.get("data", {}).get("mesh", "")
        self.source = FROM_LOGS if "accessLogFile:" in mesh else NO_LOGS

    async def _follow(self, namespace: str, name: str, _uid: str) -> None:
        """Read a proxy's log until the pod is gone."""
        while True:
            try:
                async for line in self._client.follow_logs(namespace, name, PROXY, tail_lines=0):
                    if entry := accesslog.parse(line.decode(errors="replace")):
                        self._take(namespace, name, entry)
            except ClusterError as error:
                log.debug("the log of %s/%s: %s", namespace, name, error)
            await asyncio.sleep(RETRY_SECONDS)

    def _take(self, namespace: str, name: str, entry: Entry) -> None:
        self.entries.append((f"{namespace}/{name}", entry))
        for seen in tuple(self._readers):
            seen(f"{namespace}/{name}", entry)
        reporter = self._reporter(namespace, name)
        if reporter:
            self.traffic.add(entry, reporter, self._addresses, self._hosts)

    def _reporter(self, namespace: str, name: str) -> tuple[Group, Workload] | None:
        for group in self._groups:
            for workload in group.workloads:
                if workload.namespace == namespace and any(pod["metadata"]["name"] == name for pod in workload.pods):
                    return group, workload
        return None


def _key(pod: Object) -> tuple[str, str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"], pod["metadata"]["uid"]


def _logs(pod: Object) -> bool:
    """Whether there is a proxy whose log can be read."""
    running = pod.get("status", {}).get("phase") == "Running"
    return running and (has_sidecar(pod) or is_gateway(pod))
