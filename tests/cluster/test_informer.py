"""Informers against a server that can be made to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from meshdojo.cluster import informer as informer_module
from meshdojo.cluster.client import Object, ObjectList, WatchEvent
from meshdojo.cluster.errors import ClusterError, StatusError, Unreachable
from meshdojo.cluster.informer import Informer, Informers, label, owner_uids

pytestmark = pytest.mark.anyio
PATIENCE = 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(informer_module, "LONGEST_RETRY_SECONDS", 0.002)


class FakeServer:
    """One resource: objects by name, events to watchers, failures on demand."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.version = 1
        self.failures: list[Exception] = []
        self.lists = 0
        self.watches = 0
        self._asked = asyncio.Condition()
        self._watchers: list[asyncio.Queue[WatchEvent | ClusterError | None]] = []

    def put(self, name: str, *, uid: str = "", labels: dict[str, str] | None = None, silent: bool = False) -> Object:
        self.version += 1
        before = self.objects.get(name)
        metadata: Object = {"name": name, "uid": uid or name, "resourceVersion": str(self.version)}
        obj = {"metadata": {**metadata, "labels": labels or {}}}
        self.objects[name] = obj
        if not silent:
            self.send(WatchEvent("MODIFIED" if before else "ADDED", obj))
        return obj

    def remove(self, name: str, *, silent: bool = False) -> None:
        self.version += 1
        gone = self.objects.pop(name)
        gone = {"metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
        if not silent:
            self.send(WatchEvent("DELETED", gone))

    def send(self, event: WatchEvent | ClusterError | None) -> None:
        """To every watcher: an event, an error, or None for the end of the watch."""
        for watcher in self._watchers:
            watcher.put_nowait(event)

    async def asked(self, *, lists: int = 0, watches: int = 0) -> None:
        """Wait until it has been asked for that many lists and watches."""
        async with asyncio.timeout(PATIENCE), self._asked:
            await self._asked.wait_for(lambda: self.lists >= lists and self.watches >= watches)

    async def _tell(self) -> None:
        async with self._asked:
            self._asked.notify_all()

    async def list(self, resource: str, namespace: str | None = None, **_: Any) -> ObjectList:
        self.lists += 1
        await self._tell()
        if self.failures:
            raise self.failures.pop(0)
        return ObjectList(list(self.objects.values()), str(self.version))

    async def watch(self, resource: str, namespace: str | None = None, **_: Any) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent | ClusterError | None] = asyncio.Queue()
        self._watchers.append(queue)
        self.watches += 1
        await self._tell()
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, ClusterError):
                    raise event
                yield event
        finally:
            self._watchers.remove(queue)


class Log:
    """What an informer told, as "TYPE name"; and a way to wait for it."""

    def __init__(self, informer: Informer) -> None:
        self.entries: list[str] = []
        self._more = asyncio.Event()
        informer.subscribe(self._note)

    def _note(self, change: str, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        self.entries.append(f"{change} {obj['metadata']['name']}")
        self._more.set()

    async def until(self, *wanted: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.entries != list(wanted):
                self._more.clear()
                await self._more.wait()


def informer_of(server: FakeServer, **options: Any) -> Informer:
    return Informer(server, "things", **options)  # type: ignore[arg-type]


async def started(server: FakeServer, *, optional: bool = False) -> tuple[Informer, Log]:
    informer = informer_of(server, optional=optional)
    log = Log(informer)
    informer.start()
    async with asyncio.timeout(PATIENCE):
        await informer.synced()
    await server.asked(watches=1 if not optional else 0)
    return informer, log


async def test_what_exists_then_what_happens() -> None:
    server = FakeServer()
    server.put("a")
    informer, log = await started(server)
    assert informer.get(None, "a") is not None
    server.put("b")
    server.put("a")
    server.remove("b")
    await log.until("ADDED a", "ADDED b", "MODIFIED a", "DELETED b")
    assert [obj["metadata"]["name"] for obj in informer.items()] == ["a"]
    await informer.stop()


async def test_who_subscribes_late_is_told_what_is_there() -> None:
    server = FakeServer()
    server.put("a")
    informer, _ = await started(server)
    await Log(informer).until("ADDED a")
    await informer.stop()


async def test_after_410_the_differences_are_told() -> None:
    server = FakeServer()
    for name in ("gone", "changed", "same", "replaced"):
        server.put(name)
    informer, log = await started(server)
    log.entries.clear()
    server.remove("gone", silent=True)
    server.put("changed", silent=True)
    server.put("replaced", uid="another", silent=True)
    server.put("new", silent=True)
    server.send(StatusError(410, "Expired", "too old resource version"))
    await log.until("DELETED gone", "MODIFIED changed", "DELETED replaced", "ADDED replaced", "ADDED new")
    await informer.stop()


async def test_a_watch_that_ends_goes_on_without_a_new_list() -> None:
    server = FakeServer()
    informer, log = await started(server)
    server.put("a")
    await log.until("ADDED a")
    server.send(None)
    await server.asked(watches=2)
    server.put("b")
    await log.until("ADDED a", "ADDED b")
    assert server.lists == 1
    await informer.stop()


@pytest.mark.parametrize(
    "failure", [Unreachable("refused"), StatusError(500, "InternalError", "no"), ValueError("what nobody thought of")]
)
async def test_a_server_that_fails_is_asked_again(failure: Exception) -> None:
    server = FakeServer()
    server.put("a")
    server.failures = [failure] * 3
    informer, _ = await started(server)
    assert server.lists == 4
    assert informer.error is None
    await informer.stop()


async def test_why_it_is_not_current_can_be_asked() -> None:
    server = FakeServer()
    server.failures = [Unreachable("connection refused")] * 1000
    informer = informer_of(server)
    informer.start()
    await server.asked(lists=2)
    assert str(informer.error) == "connection refused"
    await informer.stop()


async def test_an_optional_kind_that_is_not_served_is_empty_until_it_comes() -> None:
    server = FakeServer()
    server.failures = [StatusError(404, "NotFound", "the server could not find the requested resource")]
    server.put("a")
    informer, log = await started(server, optional=True)
    await log.until("ADDED a")
    await informer.stop()


async def test_an_own_write_is_read_back_at_once_and_told_once() -> None:
    server = FakeServer()
    server.put("a")
    informer, log = await started(server)
    written = server.put("a", silent=True)
    informer.observe(written)
    assert informer.get(None, "a") is written
    server.send(WatchEvent("MODIFIED", written))
    server.put("b")
    await log.until("ADDED a", "MODIFIED a", "ADDED b")
    await informer.stop()


async def test_the_cache_never_goes_back_in_time() -> None:
    server = FakeServer()
    older = server.put("a")
    informer, log = await started(server)
    middle, newest = server.put("a", silent=True), server.put("a", silent=True)
    informer.observe(newest)
    server.send(WatchEvent("MODIFIED", middle))
    server.put("b")
    await log.until("ADDED a", "MODIFIED a", "ADDED b")
    assert informer.get(None, "a") is newest
    informer.observe(older)
    assert informer.get(None, "a") is newest
    await informer.stop()


async def test_a_write_that_was_undone_meanwhile_does_not_come_back() -> None:
    server = FakeServer()
    informer, log = await started(server)
    written = server.put("a")
    server.remove("a")
    await log.until("ADDED a", "DELETED a")
    informer.observe(written)
    assert informer.get(None, "a") is None
    await informer.stop()


async def test_indices_follow_changes() -> None:
    server = FakeServer()
    server.put("a", labels={"app": "web"})
    informer, log = await started(server)
    informer.add_index("app", label("app"))
    assert [obj["metadata"]["name"] for obj in informer.indexed("app", "web")] == ["a"]
    server.put("a", labels={"app": "api"})
    server.put("b", labels={"app": "api"})
    await log.until("ADDED a", "MODIFIED a", "ADDED b")
    assert informer.indexed("app", "web") == []
    assert [obj["metadata"]["name"] for obj in informer.indexed("app", "api")] == ["a", "b"]
    await informer.stop()


def test_the_index_of_owners() -> None:
    assert owner_uids({"metadata": {"ownerReferences": [{"uid": "1"}, {"uid": "2"}]}}) == ["1", "2"]
    assert owner_uids({"metadata": {}}) == []


async def test_a_subscriber_that_fails_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer()
    informer = informer_of(server)

    def fail(change: str, old: Object | None, new: Object | None) -> None:
        raise ValueError("mine")

    informer.subscribe(fail)
    log = Log(informer)
    server.put("a")
    informer.start()
    await log.until("ADDED a")
    assert "a subscriber failed" in caplog.text
    await informer.stop()


async def test_informers_are_shared() -> None:
    server = FakeServer()
    shared = Informers(server)  # type: ignore[arg-type]
    first = shared.of("things")
    assert shared.of("things") is first
    assert shared.of("things", "other") is not first
    async with asyncio.timeout(PATIENCE):
        await shared.start()
    await shared.drop("things")
    assert shared.of("things") is not first
    await shared.stop()
