"""`Informer`: a cache of one resource that keeps itself current, and tells subscribers what changed.

List, then watch from there; after a 410 (or any doubt) list again and tell the differences. Callbacks run in the
event loop, in the order of the changes, one object at a time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Literal

from meshdojo.cluster.client import Client, Object, WatchEvent
from meshdojo.cluster.errors import ClusterError, StatusError

Change = Literal["ADDED", "MODIFIED", "DELETED"]
Callback = Callable[[Change, Object | None, Object | None], None]
Key = tuple[str, str]
IndexFunction = Callable[[Object], Iterable[str]]

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
log = logging.getLogger(__name__)


def key_of(obj: Object) -> Key:
    """(namespace, name) of an object; namespace is '' for cluster-scoped ones."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def owner_uids(obj: Object) -> list[str]:
    """An index: the uids of all owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def label(name: str) -> IndexFunction:
    """An index: the value of one label."""
    return lambda obj: [value] if (value := (obj["metadata"].get("labels") or {}).get(name)) is not None else []


class Informer:
    """The objects of one resource (of one namespace, or with certain labels), always current.

    With `optional`, a kind that the server does not serve (yet) counts as no objects, and is tried again.
    """

    def __init__(
        self, client: Client, resource: str, namespace: str | None = None, labels: str = "", *, optional: bool = False
    ) -> None:
        self.resource = resource
        self.error: ClusterError | None = None  # what keeps the cache from being current, None while all is well
        self._client = client
        self._namespace = namespace
        self._labels = labels
        self._optional = optional
        self._objects: dict[Key, Object] = {}
        self._version = ""
        self._callbacks: list[Callback] = []
        self._indices: dict[str, _Index] = {}
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to list and watch, in the running event loop. A second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer {self.resource}")

    async def stop(self) -> None:
        """End the watch. The cache keeps what it had."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def synced(self) -> None:
        """Wait until the cache has been filled once, and subscribers told of it."""
        await self._synced.wait()

    def get(self, namespace: str | None, name: str) -> Object | None:
        """The object, or None. Never change it."""
        return self._objects.get((namespace or "", name))

    def items(self, namespace: str | None = None) -> list[Object]:
        """All objects (of one namespace)."""
        if namespace is None:
            return list(self._objects.values())
        return [obj for (where, _), obj in self._objects.items() if where == namespace]

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Make `indexed(name, value)` answer quickly; `function` gives the values of an object."""
        if name not in self._indices:
            self._indices[name] = _Index(function)
            for obj in self._objects.values():
                self._indices[name].change(None, obj)

    def indexed(self, name: str, value: str) -> list[Object]:
        """The objects for which the index function gave `value`."""
        return [self._objects[key] for key in self._indices[name].keys.get(value, ())]

    def subscribe(self, callback: Callback) -> None:
        """Call ``callback(type, old, new)`` for every change; at once with ADDED for what is there already.

        `old` is None for ADDED, `new` is None for DELETED. A callback must be quick; one that raises is logged.
        """
        self._callbacks.append(callback)
        for obj in list(self._objects.values()):
            _tell(callback, "ADDED", None, obj)

    def observe(self, written: Object) -> None:
        """Put the answer of an own write into the cache now, so that it is read back before the watch tells of it.

        Deleted objects must come from the watch; what the watch has passed already is left alone. Needs a server
        whose resourceVersions can be compared (Kubernetes 1.35 guarantees it, older ones and ours have it so).
        """
        if _version_of(written) > int(self._version or 0):
            self._newer(written)

    async def _run(self) -> None:
        retry = 0.0
        while True:
            try:
                if not self._version:
                    await self._list()
                retry = await self._watch(retry)
            except ClusterError as error:
                retry = self._failed(error, retry)
            except Exception:  # whatever it was: who waits for this informer would wait for ever
                log.exception("%s: trying again", self.resource)
                self._version, retry = "", _longer(retry)
            await asyncio.sleep(retry * random.uniform(0.8, 1.2))

    async def _list(self) -> None:
        listed = await self._client.list(self.resource, self._namespace, labels=self._labels)
        self._replace(listed.items)
        self._version = listed.resource_version
        self.error = None
        self._synced.set()

    async def _watch(self, retry: float) -> float:
        """Follow one watch to its end; the seconds until the next one (a server that ends them at once is spared)."""
        before = self._version
        events = self._client.watch(self.resource, self._namespace, labels=self._labels, since=self._version)
        try:
            async for event in events:
                self.error = None
                self._accept(event)
        finally:
            await _close(events)
        return _longer(retry) if self._version == before else 0.0

    def _failed(self, error: ClusterError, retry: float) -> float:
        """Seconds until the next attempt."""
        if isinstance(error, StatusError):
            self._version = ""  # whatever it was, a new list puts it right
            if error.code == 410:
                return 0.0
            if error.code == 404 and self._optional:
                self._replace([])
                self._synced.set()
        if self.error is None:
            log.info("%s: %s; trying again", self.resource, error)
        self.error = error
        return _longer(retry)

    def _accept(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise StatusError.from_status(event.object, 500)
        self._version = event.object["metadata"]["resourceVersion"]
        if event.type != "BOOKMARK":
            self._newer(event.object, deleted=event.type == "DELETED")

    def _replace(self, objects: list[Object]) -> None:
        current = {key_of(obj): obj for obj in objects}
        for key in [key for key in self._objects if key not in current]:
            self._change(key, None)
        for key, obj in current.items():
            old = self._objects.get(key)
            if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._change(key, obj)

    def _newer(self, obj: Object, *, deleted: bool = False) -> None:
        """A change, unless the cache is ahead of it (see `observe`)."""
        old = self._objects.get(key_of(obj))
        if old is None or _version_of(old) < _version_of(obj):
            self._change(key_of(obj), None if deleted else obj)

    def _change(self, key: Key, new: Object | None) -> None:
        old = self._objects.get(key)
        if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._change(key, None)  # deleted and made anew while nobody looked
            old = None
        if new is not None:
            self._objects[key] = new
        elif self._objects.pop(key, None) is None:
            return
        for index in self._indices.values():
            index.change(old, new)
        change: Change = "DELETED" if new is None else "ADDED" if old is None else "MODIFIED"
        for callback in tuple(self._callbacks):
            _tell(callback, change, old, new)


class Informers:
    """The informers of one program, each started once and shared by all who need it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._shared: dict[tuple[Any, ...], Informer] = {}

    def of(self, resource: str, namespace: str | None = None, labels: str = "", *, optional: bool = False) -> Informer:
        """The informer for these objects; not started if it is new (see `start`)."""
        key = (resource, namespace, labels)
        if key not in self._shared:
            self._shared[key] = Informer(self._client, resource, namespace, labels, optional=optional)
        return self._shared[key]

    async def drop(self, resource: str) -> None:
        """Stop the informers of a resource that is no longer served, and forget them."""
        keys = [key for key in self._shared if key[0] == resource]
        dropped = [self._shared.pop(key) for key in keys]
        await asyncio.gather(*(informer.stop() for informer in dropped))

    async def start(self) -> None:
        """Start all that are not running, and wait until every one has synced."""
        for informer in self._shared.values():
            informer.start()
        await asyncio.gather(*(informer.synced() for informer in list(self._shared.values())))

    async def stop(self) -> None:
        """Stop all informers; their caches stay as they are."""
        await asyncio.gather(*(informer.stop() for informer in list(self._shared.values())))


class _Index:
    def __init__(self, function: IndexFunction) -> None:
        self._function = function
        self.keys: dict[str, dict[Key, None]] = {}  # a dict as an ordered set

    def change(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            for value in self._function(old):
                entries = self.keys[value]
                entries.pop(key_of(old), None)
                if not entries:
                    del self.keys[value]
        if new is not None:
            for value in self._function(new):
                self.keys.setdefault(value, {})[key_of(new)] = None


def _version_of(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _longer(retry: float) -> float:
    return min(max(retry * 2, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)


def _tell(callback: Callback, change: Change, old: Object | None, new: Object | None) -> None:
    try:
        callback(change, old, new)
    except Exception:
        log.exception("a subscriber failed on %s of %s", change, key_of(new or old or {}))


async def _close(events: AsyncIterator[WatchEvent]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
