"""Watches as clients see them: with selectors, in the version asked for, first what exists if they want it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from meshdojo.cluster.client import Object, WatchEvent
from meshdojo.kubernetes.conversion import to_version
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.selectors import predicate
from meshdojo.kubernetes.store import Change, Store


class Watcher:
    """The events of one watch. `close` it when done.

    `since` None means: first an ADDED for each object that exists. An object that leaves the selectors is DELETED, one
    that enters is ADDED. Raises StatusError 400 (selector), 410 (`since` is too old).
    """

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._wanted: Callable[[Object], bool] = predicate(resource, labels, fields)
        self._initial: deque[WatchEvent] = deque()
        if since is None:
            existing = (to_version(obj, resource) for obj in store.list(resource.storage, namespace))
            self._initial.extend(WatchEvent("ADDED", obj) for obj in existing if self._wanted(obj))
        self.revision = store.revision if since is None else since
        self._watch = store.watch(resource.storage, self.revision)

    @property
    def ended(self) -> bool:
        """No event will come any more."""
        return self._watch.ended and not self._initial

    @property
    def initial(self) -> int:
        """How many of the initial ADDED events are still to come."""
        return len(self._initial)

    async def next(self, timeout: float | None = None) -> WatchEvent | None:
        """The next event; None when `timeout` seconds passed without one or the watch has ended."""
        if self._initial:
            return self._initial.popleft()
        while (change := await self._watch.next(timeout)) is not None:
            self.revision = change.revision
            event = self._event(change)
            if event is not None:
                return event
        if not self._watch.pending:
            self.revision = max(self.revision, self._store.revision)
        return None

    def _event(self, change: Change) -> WatchEvent | None:
        if self._namespace is not None and change.object["metadata"].get("namespace", "") != self._namespace:
            return None
        obj = to_version(change.object, self._resource)
        before = change.previous is not None and self._wanted(to_version(change.previous, self._resource))
        after = change.type != "DELETED" and self._wanted(obj)
        if after:
            return WatchEvent("MODIFIED" if before else "ADDED", obj)
        return WatchEvent("DELETED", obj) if before else None

    def close(self) -> None:
        """End the watch."""
        self._initial.clear()
        self._watch.close()
