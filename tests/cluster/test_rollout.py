"""What counts as a complete rollout, and waiting for one through events that say nothing of the sort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from meshdojo.cluster.client import EventType, Object, WatchEvent
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.rollout import completed, is_complete


def deployment(wanted: int | None, generation: int = 1, /, **status: int) -> Object:
    spec = {} if wanted is None else {"replicas": wanted}
    return {"metadata": {"generation": generation}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("found", "complete"),
    [
        (deployment(2, observedGeneration=1, replicas=2, updatedReplicas=2, availableReplicas=2), True),
        (deployment(None, observedGeneration=1, replicas=1, updatedReplicas=1, availableReplicas=1), True),
        (deployment(0, observedGeneration=1), True),
        (deployment(2, observedGeneration=1, replicas=2, updatedReplicas=2, availableReplicas=1), False),
        (deployment(2, observedGeneration=1, replicas=3, updatedReplicas=2, availableReplicas=2), False),
        (deployment(1, 2, observedGeneration=1, replicas=1, updatedReplicas=1, availableReplicas=1), False),
        (deployment(1), False),
        ({"metadata": {}, "spec": {"replicas": 1}}, False),
    ],
)
def test_complete_means_all_new_and_no_old(found: Object, complete: bool) -> None:
    assert is_complete(found) is complete


DONE = deployment(1, observedGeneration=1, replicas=1, updatedReplicas=1, availableReplicas=1)


class Server:
    """Answers each watch with the next list of events, and notes what was asked."""

    def __init__(self, *watches: list[tuple[EventType, Object]]) -> None:
        self.watches = list(watches)
        self.asked: list[tuple[Any, ...]] = []
        self.closed = 0

    async def watch(self, resource: str, namespace: str, *, fields: str) -> AsyncGenerator[WatchEvent, None]:
        self.asked.append((resource, namespace, fields))
        try:
            for type_, obj in self.watches.pop(0):
                yield WatchEvent(type_, obj)
        finally:
            self.closed += 1


def test_waits_through_deletion_bookmarks_and_the_end_of_a_watch() -> None:
    server = Server([("BOOKMARK", DONE), ("DELETED", DONE), ("ADDED", deployment(1))], [("MODIFIED", DONE)])
    asyncio.run(asyncio.wait_for(completed(cast(HTTPClient, server), "fleet", "web"), 30))
    assert server.asked == [("deployments.apps", "fleet", "metadata.name=web")] * 2
    assert server.closed == 2


def test_closes_the_watch_when_it_is_done() -> None:
    server = Server([("ADDED", DONE), ("MODIFIED", DONE)])
    asyncio.run(asyncio.wait_for(completed(cast(HTTPClient, server), "fleet", "web"), 30))
    assert server.closed == 1
