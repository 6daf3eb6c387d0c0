"""The garbage collector: deletes what nobody owns any more.

Background: an object whose owners are all gone is deleted. Foreground: an owner waits (finalizer foregroundDeletion)
until the dependents that block it are gone. Orphan: the references to an owner go before the owner does.
Source: ``k8s.io/kubernetes/pkg/controller/garbagecollector``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshdojo.cluster.client import Client, Object, Propagation
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Change
from meshdojo.cluster.workqueue import WorkQueue
from meshdojo.kubernetes.controllers.everything import Everything
from meshdojo.kubernetes.resources import Resource

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class Node:
    """An object of the graph."""

    resource: Resource
    object: Object

    @property
    def uid(self) -> str:
        """The object's uid."""
        return str(self.object["metadata"]["uid"])

    @property
    def namespace(self) -> str | None:
        """The object's namespace, None for cluster-scoped ones."""
        namespace: str | None = self.object["metadata"].get("namespace")
        return namespace

    @property
    def references(self) -> list[Object]:
        """Its ownerReferences, [] for none."""
        return list(self.object["metadata"].get("ownerReferences") or ())

    def waits_for(self, finalizer: str) -> bool:
        """It is being deleted, and held by this finalizer."""
        metadata = self.object["metadata"]
        return bool(metadata.get("deletionTimestamp")) and finalizer in (metadata.get("finalizers") or ())


@dataclass
class Owners:
    """The ownerReferences of an object: of owners that are there, are gone, or wait for their dependents to go."""

    solid: list[Object] = field(default_factory=list)
    dangling: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)


class GarbageCollector:
    """Keeps a graph of all objects by uid; its queue holds the uids that need a decision."""

    name = "garbage-collector"

    def __init__(self, client: Client, everything: Everything) -> None:
        self._client = client
        self._everything = everything
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self.queue: WorkQueue[str] = WorkQueue(self.name, self.reconcile)
        everything.subscribe(self._changed)

    def start(self) -> None:
        """Begin to collect; the informers have synced."""
        self.queue.start()

    async def stop(self) -> None:
        """Collect nothing any more."""
        await self.queue.stop()

    async def reconcile(self, uid: str) -> None:
        """Decide about one object."""
        node = self._nodes.get(uid)
        if node is None:
            return
        if node.waits_for(FOREGROUND):
            await self._delete_dependents_first(node)
        elif node.waits_for(ORPHAN):
            await self._orphan_dependents(node)
        elif node.references and not node.object["metadata"].get("deletionTimestamp"):
            await self._judge(node)

    def _changed(self, resource: Resource, change: Change, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._unlink(Node(resource, old))
        if new is not None:
            self._link(Node(resource, new))
        elif old is not None:
            self._gone(Node(resource, old))

    def _link(self, node: Node) -> None:
        self._nodes[node.uid] = node
        for reference in node.references:
            self._dependents.setdefault(reference["uid"], {})[node.uid] = None
        if node.references or node.waits_for(FOREGROUND) or node.waits_for(ORPHAN):
            self.queue.add(node.uid)

    def _unlink(self, node: Node) -> None:
        self._nodes.pop(node.uid, None)
        for reference in node.references:
            dependents = self._dependents.get(reference["uid"], {})
            dependents.pop(node.uid, None)
            if not dependents:
                self._dependents.pop(reference["uid"], None)

    def _gone(self, node: Node) -> None:
        for uid in self._dependents.get(node.uid, ()):
            self.queue.add(uid)
        for reference in node.references:  # an owner may have waited for just this one
            self.queue.add(reference["uid"])

    async def _judge(self, node: Node) -> None:
        owners = await self._owners(node)
        if owners.solid:
            if owners.dangling or owners.waiting:
                await self._drop_references(node, [*owners.dangling, *owners.waiting])
        elif owners.waiting and self._dependents.get(node.uid):
            await self._delete(node, "Foreground")
        else:
            await self._delete(node, _own_propagation(node))

    async def _owners(self, node: Node) -> Owners:
        owners = Owners()
        for reference in node.references:
            known = self._nodes.get(reference["uid"])
            if known is None and not await self._exists(node, reference):
                owners.dangling.append(reference)
            elif known is not None and known.waits_for(FOREGROUND) and reference.get("blockOwnerDeletion"):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _exists(self, node: Node, reference: Object) -> bool:
        """Ask the API: the graph may lag behind, or the owner may never have existed.

        A reference that says nothing (an unknown kind, a namespaced owner of a cluster-wide object) counts as alive.
        """
        resource = self._everything.of_kind(reference["apiVersion"], reference["kind"])
        if resource is None or (resource.namespaced and node.namespace is None):
            return True
        namespace = node.namespace if resource.namespaced else None
        try:
            owner = await self._client.get(resource.name, reference["name"], namespace)
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return bool(owner["metadata"]["uid"] == reference["uid"])

    async def _delete_dependents_first(self, owner: Node) -> None:
        blocking = [node for node in self._dependents_of(owner) if _blocks(node, owner)]
        for node in blocking:
            self.queue.add(node.uid)
        if not blocking:
            await self._remove_finalizer(owner, FOREGROUND)

    async def _orphan_dependents(self, owner: Node) -> None:
        for node in self._dependents_of(owner):
            await self._drop_references(node, [one for one in node.references if one["uid"] == owner.uid])
        await self._remove_finalizer(owner, ORPHAN)

    def _dependents_of(self, owner: Node) -> list[Node]:
        return [self._nodes[uid] for uid in self._dependents.get(owner.uid, ()) if uid in self._nodes]

    async def _delete(self, node: Node, propagation: Propagation) -> None:
        metadata = node.object["metadata"]
        try:
            await self._client.delete(
                node.resource.name, metadata["name"], node.namespace, propagation=propagation, uid=node.uid
            )
        except StatusError as error:
            if error.code not in (404, 409):  # gone, or another of that name
                raise

    async def _drop_references(self, node: Node, gone: Iterable[Object]) -> None:
        uids = {reference["uid"] for reference in gone}
        left = [reference for reference in node.references if reference["uid"] not in uids]
        await self._patch(node, {"ownerReferences": left or None})

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        left = [one for one in node.object["metadata"]["finalizers"] if one != finalizer]
        await self._patch(node, {"finalizers": left or None})

    async def _patch(self, node: Node, metadata: Object) -> None:
        """Change metadata unless the object changed meanwhile (409: decided anew)."""
        known = node.object["metadata"]
        patch = {"metadata": {"resourceVersion": known["resourceVersion"], **metadata}}
        try:
            await self._client.patch(node.resource.name, known["name"], patch, node.namespace)
        except StatusError as error:
            if error.code != 404:
                raise


def _blocks(dependent: Node, owner: Node) -> bool:
    return any(one["uid"] == owner.uid and one.get("blockOwnerDeletion") for one in dependent.references)


def _own_propagation(node: Node) -> Propagation:
    finalizers = node.object["metadata"].get("finalizers") or ()
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
