"""Informers of all objects that can be deleted, those of custom kinds as their CRDs come and go.

What the garbage collector and the namespace controller need, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Change, Informers
from meshdojo.kubernetes.naming import established
from meshdojo.kubernetes.resources import Catalogue, Resource, custom_resources

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
Callback = Callable[[Resource, Change, Object | None, Object | None], None]


class Everything:
    """All kinds except events, which own nothing and are owned by nothing."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._resources: dict[str, Resource] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._callbacks: list[Callback] = []
        self._stopping: set[asyncio.Task[None]] = set()
        for resource in _once_each(Catalogue.builtin()):
            self._follow(resource)
        informers.of(CRDS).subscribe(self._crd_changed)

    @property
    def resources(self) -> list[Resource]:
        """All that are followed now."""
        return list(self._resources.values())

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind, of whichever version."""
        return self._by_kind.get((api_version.rpartition("/")[0], kind))

    def subscribe(self, callback: Callback) -> None:
        """Call ``callback(resource, type, old, new)`` for every change of any object from now on."""
        self._callbacks.append(callback)

    def _follow(self, resource: Resource) -> None:
        if resource.name in self._resources:
            return

        def changed(change: Change, old: Object | None, new: Object | None) -> None:
            for callback in self._callbacks:
                callback(resource, change, old, new)

        self._resources[resource.name] = resource
        self._by_kind[resource.group, resource.kind] = resource
        self._informers.of(resource.name).subscribe(changed)

    def _crd_changed(self, change: Change, old: Object | None, crd: Object | None) -> None:
        if crd is None:
            self._forget(old)
            return
        served = custom_resources(crd) if established(crd) else []
        for resource in served[:1]:
            self._follow(resource)
            self._informers.of(resource.name).start()

    def _forget(self, crd: Object | None) -> None:
        resource = self._resources.pop(crd["metadata"]["name"], None) if crd else None
        if resource is not None:
            self._by_kind.pop((resource.group, resource.kind), None)
            task = asyncio.get_running_loop().create_task(self._informers.drop(resource.name))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)


def _once_each(catalogue: Catalogue) -> Iterable[Resource]:
    seen: set[str] = set()
    for resource in catalogue:
        if {"list", "watch", "delete"} <= set(resource.verbs) and resource.storage not in {"events", *seen}:
            seen.add(resource.storage)
            yield resource
