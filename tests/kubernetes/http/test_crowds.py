"""Many clients and slow ones, many objects and large ones: everybody else is served, and nothing is kept afterwards.

The sizes here are what shows a mistake; `benchmarks/scale.py` has those that show a speed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from meshdojo.kubernetes import store as store_module
from meshdojo.kubernetes.http.negotiation import MAX_BODY_BYTES

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster

TOKEN = "test-token"
PATH = "/api/v1/namespaces/default/configmaps"
PATIENCE_SECONDS = 60
WATCHERS = 200


@lru_cache
def _context(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


class Connection:
    """One TLS connection on which a request was written: what comes back is read when a test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, cluster: Cluster, head: str, body: bytes = b"") -> Connection:
        context = _context(cluster.directory / "ca.crt")
        reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=context)
        writer.write(f"{head}\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode() + body)
        await writer.drain()
        return cls(reader, writer)

    @classmethod
    async def watch(cls, cluster: Cluster, query: str = "") -> Connection:
        watching = await cls.open(cluster, f"GET {PATH}?watch=1{query} HTTP/1.1")
        await watching.until(b"\r\n\r\n")
        return watching

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        """All that comes until the server has ended its answer (an empty chunk) or the connection."""
        read = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not read.endswith(b"\r\n0\r\n\r\n") and (chunk := await self.reader.read(65536)):
                read += chunk
        return read

    def leave(self) -> None:
        self.writer.transport.abort()


def watches(cluster: Cluster) -> int:
    return len(cluster.server._app._resources.streams) + len(cluster.api.store._shelf("configmaps").watches)


async def become(cluster: Cluster, holds: Callable[[], bool]) -> None:
    """Wait, by asking the server, until something holds of it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            answered = await Connection.open(cluster, "GET /readyz HTTP/1.1")
            await answered.until(b"ok")
            answered.leave()


def large(name: str, megabytes: float) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"a": "x" * int(megabytes * 1_000_000)}}


def test_many_watchers_all_hear_of_a_change_and_leave_nothing_behind(cluster: Cluster, http: httpx.Client) -> None:
    async def scenario() -> None:
        before = watches(cluster)
        watching = await asyncio.gather(*(Connection.watch(cluster) for _ in range(WATCHERS)))
        assert watches(cluster) == before + 2 * WATCHERS
        await asyncio.to_thread(http.post, PATH, json={"metadata": {"name": "crowd"}})
        for one in watching:
            await one.until(b'"name":"crowd"')
        for one in watching:
            one.leave()
        await become(cluster, lambda: watches(cluster) == before)

    asyncio.run(scenario())


def test_a_watcher_that_does_not_read_delays_nobody_and_is_let_go(
    cluster: Cluster, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent what the sockets hold, and nothing waits for it any more once the history has forgotten it."""
    monkeypatch.setattr(store_module, "HISTORY_BYTES", 3_000_000)

    async def scenario() -> None:
        before = watches(cluster)
        slow = await Connection.watch(cluster)
        shelf = cluster.api.store._shelf("configmaps")
        for number in range(24):
            await asyncio.to_thread(
                cluster.run, cluster.api.create("configmaps", large(f"slow-{number}", 1), "default")
            )
        assert shelf.history_bytes <= 3_000_000
        read = await slow.rest()
        # What it did get is whole: the stream ends after an event, not inside of one.
        assert read.endswith(b"}\n\r\n0\r\n\r\n")
        assert 1 <= read.count(b'"type":"ADDED"') < 24
        slow.leave()
        await become(cluster, lambda: watches(cluster) == before)

    asyncio.run(scenario())
    assert http.delete(PATH).status_code == 200


def test_stopping_does_not_wait_for_those_who_do_not_read(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.kubernetes.conftest import Cluster

    async def scenario() -> None:
        slow = await Connection.watch(other)
        for number in range(10):
            other.run(other.api.create("configmaps", large(f"stuck-{number}", 1), "default"))
        await asyncio.to_thread(other.stop)
        slow.leave()

    monkeypatch.setattr("meshdojo.kubernetes.server.GRACE_SECONDS", 0)
    other = Cluster(tmp_path_factory.mktemp("other"))
    asyncio.run(scenario())


def test_thousands_of_objects_come_in_pages_that_fit_together(cluster: Cluster, http: httpx.Client) -> None:
    async def fill(count: int) -> None:
        for number in range(count):
            await cluster.api.create("configmaps", {"metadata": {"name": f"page-{number:05}"}}, "kube-public")

    path = "/api/v1/namespaces/kube-public/configmaps"
    cluster.run(fill(1200))
    names: list[str] = []
    token, revision = "", ""
    while True:
        page = http.get(path, params={"limit": 250, "continue": token}).json()
        names += [one["metadata"]["name"] for one in page["items"]]
        revision = revision or page["metadata"]["resourceVersion"]
        # Later pages are of the same moment, whatever happens meanwhile.
        assert page["metadata"]["resourceVersion"] == revision
        token = page["metadata"].get("continue", "")
        if not token:
            break
        http.post(path, json={"metadata": {"generateName": "page-0-new-"}})
    assert [name for name in names if name.startswith("page")] == [f"page-{number:05}" for number in range(1200)]

    assert http.delete(path).status_code == 200
    assert http.get(path).json()["items"] == []


def test_unfinished_requests_hold_nobody_up(cluster: Cluster, http: httpx.Client) -> None:
    async def scenario() -> None:
        heads = ["GET /api", "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nContent-Length: 1000"] * 20
        pending = [await Connection.open(cluster, head, b"{") for head in heads]
        answer = await asyncio.to_thread(http.post, PATH, json={"metadata": {"generateName": "quick-"}})
        assert answer.status_code == 201
        for one in pending:
            one.leave()

    asyncio.run(scenario())


@pytest.mark.parametrize("encoding", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
def test_ten_megabytes_are_refused_and_the_connection_goes_on(cluster: Cluster, encoding: str) -> None:
    async def scenario() -> bytes:
        head = f"POST {PATH} HTTP/1.1\r\nContent-Type: application/json\r\n{encoding}"
        body = b"[" * 10_000_000
        if "chunked" in encoding:
            body = b"989680\r\n" + body + b"\r\n0\r\n\r\n"
        asked = await Connection.open(cluster, head, body)
        await asked.until(f"limit is {MAX_BODY_BYTES}".encode())
        asked.writer.write(f"GET /version HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        await asked.until(b"gitVersion")
        asked.leave()
        return body

    asyncio.run(scenario())


def test_a_body_just_below_the_limit_is_stored_and_comes_back(http: httpx.Client) -> None:
    body = large("just-below", 1.04)
    assert http.post(PATH, content=json.dumps(body)).status_code == 201
    assert http.get(f"{PATH}/just-below").json()["data"] == body["data"]
    assert http.delete(f"{PATH}/just-below").status_code == 200
