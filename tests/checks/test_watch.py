"""Rounds follow changes: all of the learner's, none of our own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, ClassVar

import pytest

from meshdojo.checks import watch as watching
from meshdojo.checks.outcome import Error, Pass
from meshdojo.checks.registry import Check
from meshdojo.checks.runner import Result
from meshdojo.checks.watch import Begun, Event, Settled, is_relevant, watch
from meshdojo.cluster.client import Object, ObjectList, WatchEvent
from meshdojo.cluster.errors import Unreachable

pytestmark = pytest.mark.anyio


def service(name: str, namespace: str = "fleet", version: str = "1", **spec: Any) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": name,
        "resourceVersion": version,
        "managedFields": [version],
    }
    return {"kind": "Service", "metadata": metadata, "spec": spec}


class Cluster:
    """Services that tests change; all else is empty."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self.down = False

    async def list(self, resource: str, namespace: str | None = None, **_: Any) -> ObjectList:
        if self.down:
            raise Unreachable("connection refused")
        return ObjectList([], "1")

    async def watch(self, resource: str, namespace: str | None = None, **_: Any) -> AsyncGenerator[WatchEvent, None]:
        if resource != "services":
            await asyncio.Event().wait()
        while True:
            yield await self.events.get()
            self.events.task_done()

    def change(self, obj: Object) -> None:
        self.events.put_nowait(WatchEvent("MODIFIED", obj))


class FakeRunner:
    """Stands for `Runner`: every round notes which checks were made, and says what `outcome` says."""

    rounds: ClassVar[list[Sequence[str]]]
    outcome: ClassVar[Pass | Error]
    hold: ClassVar[asyncio.Event]

    async def run(self, ids: Sequence[str], report: Callable[[Result], None]) -> list[Result]:
        type(self).rounds.append(list(ids))
        await self.hold.wait()
        results = [Result(Check(id, id, False, None), self.outcome, 0.1) for id in ids]  # type: ignore[arg-type]
        for result in results:
            report(result)
        return results


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> type[FakeRunner]:
    class Fresh(FakeRunner):
        rounds: ClassVar[list[Sequence[str]]] = []
        outcome = Pass("fine")
        hold = asyncio.Event()

        def __init__(self, client: object) -> None:
            pass

    Fresh.hold.set()
    monkeypatch.setattr(watching, "Runner", Fresh)
    return Fresh


async def until_settled(events: AsyncIterator[Event]) -> Settled:
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, Settled):
                return event
    raise AssertionError("the watch ended")


async def test_a_round_now_and_one_after_each_change(runner: type[FakeRunner]) -> None:
    cluster = Cluster()
    async with contextlib.aclosing(watch(cluster, ["a.one", "a.two"])) as events:  # type: ignore[arg-type]
        seen = [await anext(events) for _ in range(5)]
        assert [event.check if isinstance(event, Begun) else None for event in seen] == [
            "a.one",
            None,
            "a.two",
            None,
            None,
        ]
        assert isinstance(seen[-1], Settled)
        assert not seen[-1].broken
        for version in ("2", "3"):
            cluster.change(service("web", version=version, port=int(version)))
            await until_settled(events)
    assert runner.rounds == [["a.one", "a.two"]] * 3


async def test_changes_during_a_round_lead_to_one_more(runner: type[FakeRunner]) -> None:
    cluster = Cluster()
    async with contextlib.aclosing(watch(cluster, ["a.one"])) as events:  # type: ignore[arg-type]
        await until_settled(events)
        runner.hold.clear()
        cluster.change(service("web", version="2"))
        assert isinstance(await anext(events), Begun)
        for version in range(3, 9):
            cluster.change(service("web", version=str(version), port=version))
        await cluster.events.join()
        runner.hold.set()
        await until_settled(events)
        await until_settled(events)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.3)
    assert len(runner.rounds) == 3


async def test_what_is_asked_first_is_asked_anew_for_each_round(runner: type[FakeRunner]) -> None:
    orders = iter([["a.one", "a.two"], ["a.two", "a.one"]])
    recheck = asyncio.Event()
    async with contextlib.aclosing(watch(Cluster(), lambda: next(orders), recheck)) as events:  # type: ignore[arg-type]
        await until_settled(events)
        recheck.set()
        await until_settled(events)
    assert runner.rounds == [["a.one", "a.two"], ["a.two", "a.one"]]


async def test_what_broke_is_tried_again_by_itself(runner: type[FakeRunner], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(watching, "SYNC_SECONDS", 0.01)
    cluster = Cluster()
    cluster.down = True
    runner.outcome = Error("the cluster does not answer", "start it")
    async with contextlib.aclosing(watch(cluster, ["a.one"])) as events:  # type: ignore[arg-type]
        assert (await until_settled(events)).broken
        assert (await until_settled(events)).broken
        runner.outcome = Pass("fine")
        assert not (await until_settled(events)).broken


async def test_closing_the_watch_ends_the_round(runner: type[FakeRunner]) -> None:
    runner.hold.clear()
    events = watch(Cluster(), ["a.one"])  # type: ignore[arg-type]
    assert isinstance(await anext(events), Begun)
    await events.aclose()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("informer")}


def test_what_counts_as_a_change() -> None:
    old = service("web", version="1", port=80)
    assert is_relevant(None, old)
    assert is_relevant(old, None)
    assert is_relevant(old, service("web", version="2", port=81))
    assert not is_relevant(old, service("web", version="2", port=80))
    assert not is_relevant(None, service("probe", "meshdojo-probe"))
    assert not is_relevant(None, service("kube-dns", "kube-system"))
    assert not is_relevant(None, {"kind": "Namespace", "metadata": {"name": "meshdojo-outside"}})
    assert is_relevant(None, {"kind": "Namespace", "metadata": {"name": "fleet"}})
