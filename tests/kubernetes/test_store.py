"""The store in memory: revisions, watches, history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from meshdojo.kubernetes import store as store_module
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.journal import Journal
from meshdojo.kubernetes.store import Change, Stale, Store


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def drain(store: Store, since: int) -> list[Change]:
    async def read() -> list[Change]:
        watch = store.watch("configmaps", since)
        changes: list[Change] = []
        while (change := await watch.next(0)) is not None:
            changes.append(change)
        watch.close()
        return changes

    return asyncio.run(read())


def test_each_change_gets_the_next_revision() -> None:
    store = Store()
    first = store.put("configmaps", config_map("a"), None)
    second = store.put("secrets", config_map("b"), None)

    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1
    assert store.revision == int(second["metadata"]["resourceVersion"])


def test_a_change_that_changes_nothing_makes_no_event() -> None:
    store = Store()
    first = store.put("configmaps", config_map("a", x="1"), None)
    before = store.revision

    assert store.put("configmaps", config_map("a", x="1"), first) is first
    assert store.revision == before
    assert len(drain(store, 1)) == 1


def test_only_the_object_that_was_seen_can_be_replaced() -> None:
    store = Store()
    old = store.put("configmaps", config_map("a", x="1"), None)
    store.put("configmaps", config_map("a", x="2"), old)

    with pytest.raises(Stale):
        store.put("configmaps", config_map("a", x="3"), old)
    with pytest.raises(Stale):
        store.put("configmaps", config_map("a"), None)
    with pytest.raises(Stale):
        store.remove("configmaps", old)


def test_lists_are_in_order_of_namespace_and_name() -> None:
    store = Store()
    for namespace, name in [("b", "a"), ("a", "z"), ("a", "b")]:
        store.put("configmaps", config_map(name, namespace), None)

    found = [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in store.list("configmaps")]

    assert found == [("a", "b"), ("a", "z"), ("b", "a")]
    assert [o["metadata"]["name"] for o in store.list("configmaps", "a")] == ["b", "z"]


def test_a_list_in_the_past_shows_what_was() -> None:
    store = Store()
    kept = store.put("configmaps", config_map("kept"), None)
    old = store.put("configmaps", config_map("changed", x="1"), None)
    gone = store.put("configmaps", config_map("gone"), None)
    then = store.revision
    store.put("configmaps", config_map("changed", x="2"), old)
    store.remove("configmaps", gone)
    store.put("configmaps", config_map("new"), None)

    assert store.list("configmaps", at=then) == [old, gone, kept]


def test_a_list_of_the_future_is_refused() -> None:
    with pytest.raises(StatusError, match="Too large resource version: 9, current: 1") as caught:
        Store().list("configmaps", at=9)

    assert caught.value.code == 504
    assert caught.value.details is not None
    assert caught.value.details["retryAfterSeconds"] == 1


def test_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HISTORY", 3)
    store = Store()
    current = store.put("configmaps", config_map("a", x="0"), None)
    first = store.revision
    for number in range(1, 6):
        current = store.put("configmaps", config_map("a", x=str(number)), current)

    with pytest.raises(StatusError, match=rf"too old resource version: {first} \(4\)") as caught:
        store.watch("configmaps", first)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    with pytest.raises(StatusError, match="continue parameter is too old"):
        store.list("configmaps", at=first)
    assert [change.revision for change in drain(store, 4)] == [5, 6, 7]


def test_a_watch_sees_what_happened_since_and_what_happens() -> None:
    async def scenario() -> list[str]:
        store = Store()
        store.put("configmaps", config_map("before"), None)
        since = store.revision
        old = store.put("configmaps", config_map("a", x="1"), None)
        watch = store.watch("configmaps", since)
        waiting = asyncio.create_task(collect(watch, 3))
        await asyncio.sleep(0)
        new = store.put("configmaps", config_map("a", x="2"), old)
        store.put("secrets", config_map("other"), None)
        last = store.remove("configmaps", new)
        changes = await waiting
        assert changes[1].previous is old
        assert changes[2].object is last
        assert int(last["metadata"]["resourceVersion"]) == changes[2].revision
        return [change.type for change in changes]

    assert asyncio.run(scenario()) == ["ADDED", "MODIFIED", "DELETED"]


async def collect(watch: store_module.Watch, count: int) -> list[Change]:
    changes: list[Change] = []
    while len(changes) < count:
        change = await watch.next()
        assert change is not None
        changes.append(change)
    return changes


def test_closing_wakes_the_one_who_waits() -> None:
    async def scenario() -> None:
        watch = Store().watch("configmaps", 1)
        waiting = asyncio.create_task(watch.next())
        await asyncio.sleep(0)
        watch.close()
        assert await waiting is None
        assert watch.ended

    asyncio.run(scenario())


def test_a_watcher_that_falls_behind_the_history_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        store = Store()
        watch, quick = (store.watch("configmaps", store.revision) for _ in range(2))
        for number in range(4):
            store.put("configmaps", config_map(f"c{number}"), None)
            assert len(await collect(quick, 1)) == 1
        # It keeps nothing alive, and ends at once instead of after what it would have got.
        assert await watch.next() is None
        assert watch.ended
        assert not quick.ended

    monkeypatch.setattr(store_module, "HISTORY", 2)
    asyncio.run(scenario())


def test_large_objects_are_forgotten_sooner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HISTORY_BYTES", 100_000)
    store = Store(Journal(tmp_path / "journal"))
    for number in range(10):
        store.put("configmaps", config_map(f"c{number}", x="y" * 30_000), None)
    store.put("secrets", config_map("s"), None)

    newest = store.revision - 1
    assert [change.revision for change in drain(store, newest - 3)] == [newest - 2, newest - 1, newest]
    with pytest.raises(StatusError, match="too old resource version"):
        store.watch("configmaps", newest - 4)
    store.close()


def test_followers_run_before_the_write_returns() -> None:
    store = Store()
    seen: list[str] = []
    store.follow("configmaps", lambda change: seen.append(change.type))

    store.remove("configmaps", store.put("configmaps", config_map("a"), None))

    assert seen == ["ADDED", "DELETED"]
