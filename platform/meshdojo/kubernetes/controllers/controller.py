"""What all controllers have in common: informers that add keys to a work queue, and writes that are read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Change, Informer, Informers, Key, key_of
from meshdojo.cluster.workqueue import WorkQueue
from meshdojo.kubernetes.controllers.events import Events

ToKeys = Callable[[Object | None, Object | None], Iterable[Key]]


@dataclass(frozen=True)
class Cluster:
    """What a controller is given: the API, the shared caches of it, and where events go."""

    client: Client
    informers: Informers
    events: Events


class Controller:
    """A control loop over objects named by (namespace, name)."""

    name: ClassVar[str]
    workers: ClassVar[int] = 1

    def __init__(self, cluster: Cluster) -> None:
        self.client = cluster.client
        self.informers = cluster.informers
        self.recorder = cluster.events.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue(self.name, self.reconcile, workers=self.workers)

    async def reconcile(self, key: Key) -> None:
        """Bring one object closer to what it should be. An error means: again later."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to work. The informers have synced."""
        self.queue.start()

    async def stop(self) -> None:
        """Reconcile nothing any more; what has begun is cancelled."""
        await self.queue.stop()

    def follow(self, resource: str, to_keys: ToKeys) -> Informer:
        """The shared informer of `resource`; each change of an object adds the keys that `to_keys(old, new)` gives."""

        def changed(change: Change, old: Object | None, new: Object | None) -> None:
            for key in to_keys(old, new):
                self.queue.add(key)

        informer = self.informers.of(resource)
        informer.subscribe(changed)
        return informer

    async def write_status(self, informer: Informer, obj: Object, status: Object) -> Object:
        """Store `status` in place of the one `obj` has, if it differs (and `obj` has not gone)."""
        if (obj.get("status") or {}) == status:
            return obj
        changed = {**obj, "status": status}
        namespace = obj["metadata"].get("namespace")
        try:
            written = await self.client.update(informer.resource, changed, namespace, subresource="status")
        except StatusError as error:
            if error.code == 404:
                return obj
            raise
        informer.observe(written)
        return written

    async def write(self, informer: Informer, obj: Object) -> Object:
        """PUT an object that is built from the cached one; 409 when that was stale."""
        written = await self.client.update(informer.resource, obj, obj["metadata"].get("namespace"))
        informer.observe(written)
        return written


def itself(old: Object | None, new: Object | None) -> Iterable[Key]:
    """A changed object is to be reconciled itself (also when it is gone)."""
    obj = new or old
    return [key_of(obj)] if obj else []


def namespace_is_going(error: StatusError) -> bool:
    """The API refused a creation because the namespace is being deleted: no reason to complain."""
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
