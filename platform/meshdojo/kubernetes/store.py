"""The objects of an environment: in memory, with one increasing resourceVersion, watches, and a journal on disk.

Objects are never changed in place, so readers share them. A change replaces the whole object.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.journal import Journal

HISTORY = 2000
"""Changes per storage that watches can start from and paged lists can look back over."""

HISTORY_BYTES = 64 * 1024 * 1024
"""The same limit in bytes of the journal: large objects are forgotten sooner."""

COMPACT_ABOVE = 32 * 1024 * 1024
"""Bytes: a log this large is compacted, and again whenever it has doubled."""

Key = tuple[str, str]
"""(namespace, name); namespace '' for cluster-scoped objects."""

log = logging.getLogger(__name__)


class Stale(Exception):
    """The object is no longer the one that the caller saw."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object. A DELETED object is its last state, with the revision of the deletion."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object
    previous: Object | None
    size: int = 0
    """Bytes that it took in the journal."""


class Watch:
    """The changes of one storage from some revision on. Use `next`, and `close` when done.

    A watcher that falls behind the history is let go with nothing more: it could not continue from there anyway, and
    what waits for it would keep alive what everybody else has forgotten.
    """

    def __init__(self, shelf: _Shelf, backlog: list[Change]) -> None:
        self._shelf = shelf
        self._changes = deque(backlog)
        self._ended = False
        self._wake = asyncio.Event()
        shelf.watches.add(self)

    async def next(self, timeout: float | None = None) -> Change | None:
        """The next change; None when `timeout` seconds passed without one, or the watch has ended."""
        if not self._changes and not self._ended:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), timeout)
            except TimeoutError:
                return None
        return self._changes.popleft() if self._changes else None

    @property
    def ended(self) -> bool:
        """Nothing will come any more: closed, or too slow."""
        return self._ended and not self._changes

    @property
    def pending(self) -> bool:
        """Whether a change is ready to be taken."""
        return bool(self._changes)

    def close(self) -> None:
        """End the watch; a waiting `next` returns."""
        self._ended = True
        self._shelf.watches.discard(self)
        self._wake.set()

    def offer(self, change: Change) -> None:
        """Called by the store for each change."""
        if self._changes and self._changes[0].revision <= self._shelf.forgotten:
            self._changes.clear()
            self.close()
            return
        self._changes.append(change)
        self._wake.set()


@dataclass
class _Shelf:
    """One storage: its objects, its recent changes, who watches it."""

    objects: dict[Key, Object] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    history_bytes: int = 0
    # History begins after this revision.
    forgotten: int = 0
    watches: set[Watch] = field(default_factory=set)
    followers: list[Callable[[Change], None]] = field(default_factory=list)

    def record(self, change: Change) -> None:
        self.history.append(change)
        self.history_bytes += change.size
        while len(self.history) > HISTORY or (self.history_bytes > HISTORY_BYTES and len(self.history) > 1):
            oldest = self.history.popleft()
            self.forgotten = oldest.revision
            self.history_bytes -= oldest.size
        for watch in tuple(self.watches):
            watch.offer(change)
        for follow in self.followers:
            follow(change)


class Store:
    """All objects. Without a journal nothing outlives the process."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._shelves: dict[str, _Shelf] = {}
        self._compact_above = COMPACT_ABOVE
        self.revision = 1
        # Shelves made later know nothing of what happened before it.
        self._first_revision = 1
        if journal is not None:
            self._load(journal)

    def _load(self, journal: Journal) -> None:
        contents = journal.contents
        self.revision = max(contents.revision, 1)
        for (storage, namespace, name), obj in contents.objects.items():
            self._shelf(storage).objects[(namespace, name)] = obj
        for shelf in self._shelves.values():
            shelf.forgotten = self.revision
        self._first_revision = self.revision
        if contents.records > 2 * len(contents.objects) + 100:
            self._compact(journal)
        journal.contents = type(contents)()

    def _shelf(self, storage: str) -> _Shelf:
        shelf = self._shelves.get(storage)
        if shelf is None:
            shelf = self._shelves[storage] = _Shelf(forgotten=self._first_revision)
        return shelf

    def storages(self) -> list[str]:
        """The storages that hold objects."""
        return [storage for storage, shelf in self._shelves.items() if shelf.objects]

    def get(self, storage: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._shelf(storage).objects.get((namespace, name))

    def list(self, storage: str, namespace: str | None = None, *, at: int | None = None) -> list[Object]:
        """The objects (of one namespace) in order of namespace and name, as they are or were at revision `at`.

        Raises StatusError 410 when `at` is older than the history, 504 when it is in the future.
        """
        objects = self._shelf(storage).objects
        if at is not None and at != self.revision:
            objects = self._objects_at(storage, at)
        keys = sorted(key for key in objects if namespace is None or key[0] == namespace)
        return [objects[key] for key in keys]

    def _objects_at(self, storage: str, at: int) -> dict[Key, Object]:
        shelf = self._shelf(storage)
        if at > self.revision:
            raise errors.too_large(at, self.revision)
        if at < shelf.forgotten:
            raise errors.continue_expired()
        objects = dict(shelf.objects)
        for change in reversed(shelf.history):
            if change.revision <= at:
                break
            key = key_of(change.object)
            if change.previous is None:
                del objects[key]
            else:
                objects[key] = change.previous
        return objects

    def put(self, storage: str, obj: Object, seen: Object | None) -> Object:
        """Create (`seen` None) or replace the object that the caller saw; returns what is stored.

        An object that equals the current one, its resourceVersion aside, changes nothing. Raises Stale when the
        current object is not `seen`, StatusError 507 when the journal cannot be written (nothing changed then).
        """
        shelf = self._shelf(storage)
        key = key_of(obj)
        if shelf.objects.get(key) is not seen:
            raise Stale
        if seen is not None and with_revision(obj, seen["metadata"]["resourceVersion"]) == seen:
            return seen
        revision = self.revision + 1
        stored = with_revision(obj, str(revision))
        size = self._write(lambda journal: journal.put(storage, stored))
        self.revision = revision
        shelf.objects[key] = stored
        shelf.record(Change(revision, "ADDED" if seen is None else "MODIFIED", stored, seen, size))
        return stored

    def remove(self, storage: str, seen: Object) -> Object:
        """Delete the object that the caller saw; returns its last state. Raises as `put` does."""
        shelf = self._shelf(storage)
        key = key_of(seen)
        if shelf.objects.get(key) is not seen:
            raise Stale
        revision = self.revision + 1
        size = self._write(lambda journal: journal.delete(storage, *key, revision))
        self.revision = revision
        del shelf.objects[key]
        last = with_revision(seen, str(revision))
        shelf.record(Change(revision, "DELETED", last, seen, size))
        return last

    def _write(self, append: Callable[[Journal], None]) -> int:
        """Append to the journal, if there is one; returns how many bytes that took."""
        journal = self._journal
        if journal is None:
            return 0
        if journal.size > self._compact_above:
            self._compact(journal)
        before = journal.size
        try:
            append(journal)
        except OSError as error:
            raise errors.not_stored(str(journal.path), error.strerror or str(error)) from error
        return journal.size - before

    def _compact(self, journal: Journal) -> None:
        try:
            journal.compact(self._everything(), self.revision)
        except OSError as error:
            log.warning("compacting %s failed, it goes on growing: %s", journal.path, error.strerror)
        self._compact_above = max(COMPACT_ABOVE, 2 * journal.size)

    def _everything(self) -> Iterator[tuple[str, Object]]:
        for storage, shelf in self._shelves.items():
            for obj in shelf.objects.values():
                yield storage, obj

    def watch(self, storage: str, since: int) -> Watch:
        """The changes after revision `since`. Raises StatusError 410 when the history no longer reaches back to it."""
        shelf = self._shelf(storage)
        if since < shelf.forgotten:
            raise errors.too_old(str(since), str(shelf.forgotten))
        backlog: list[Change] = []
        for change in reversed(shelf.history):
            if change.revision <= since:
                break
            backlog.append(change)
        return Watch(shelf, backlog[::-1])

    def follow(self, storage: str, follower: Callable[[Change], None]) -> None:
        """Call `follower` with each change, before the write that made it returns."""
        self._shelf(storage).followers.append(follower)

    def end_watches(self, storage: str) -> None:
        """End every watch of this storage."""
        for watch in tuple(self._shelf(storage).watches):
            watch.close()

    def close(self) -> None:
        """End all watches and close the journal."""
        for shelf in self._shelves.values():
            for watch in tuple(shelf.watches):
                watch.close()
        if self._journal is not None:
            self._journal.close()


def key_of(obj: Object) -> Key:
    """(namespace, name) of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def with_revision(obj: Object, revision: str) -> Object:
    """The same object with this resourceVersion."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": revision}}
