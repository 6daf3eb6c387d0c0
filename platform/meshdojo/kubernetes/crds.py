"""Serving the kinds of CustomResourceDefinitions: from when they have their names until their last object is gone."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.deletion import Deleter
from meshdojo.kubernetes.naming import established, with_accepted_names
from meshdojo.kubernetes.requests import DeleteOptions, Options
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.store import Change, Store

STORAGE = "customresourcedefinitions.apiextensions.k8s.io"


class CustomResourceDefinitions:
    """Keeps the catalogue in step with the stored CRDs, and finishes their deletion."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._emptying: set[str] = set()
        for crd in store.list(STORAGE):
            self._serve(crd)
        store.follow(STORAGE, self._follow)

    def _follow(self, change: Change) -> None:
        if change.type == "DELETED":
            name = change.object["metadata"]["name"]
            self._catalogue.remove_crd(name)
            self._store.end_watches(name)
        else:
            self._serve(change.object)
        self._name_others(change.object)

    def _name_others(self, changed: Object) -> None:
        """A name that one definition has given back may be what another waits for, the oldest first."""
        name, group = changed["metadata"]["name"], changed["spec"]["group"]
        others = [crd for crd in self._store.list(STORAGE) if crd["spec"]["group"] == group]
        for crd in sorted(others, key=lambda one: str(one["metadata"].get("creationTimestamp", ""))):
            if crd["metadata"]["name"] != name:
                named = with_accepted_names(crd, others)
                if named != crd:
                    self._store.put(STORAGE, named, crd)
                    # That change has looked after the rest.
                    return

    def _serve(self, crd: Object) -> None:
        if established(crd):
            self._catalogue.add_crd(crd)
        if "deletionTimestamp" in crd["metadata"]:
            self._remove_when_empty(crd["metadata"]["name"])

    def _remove_when_empty(self, name: str) -> None:
        """The objects of a CRD are stored under its own name ("plural.group")."""
        if name not in self._emptying:
            self._emptying.add(name)
            self._store.follow(name, lambda _: self._remove_if_empty(name))

    def _remove_if_empty(self, name: str) -> None:
        crd = self._store.get(STORAGE, "", name)
        if crd and "deletionTimestamp" in crd["metadata"] and not self._store.list(name):
            self._store.remove(STORAGE, crd)

    async def empty(self, name: str, deleter: Deleter, options: Options) -> None:
        """Delete the objects of a CRD that is being deleted; with the last of them the CRD itself goes."""
        resource = next((r for r in self._catalogue if r.crd is not None and r.name == name), None)
        if resource is not None:
            for obj in self._store.list(name):
                metadata = obj["metadata"]
                try:
                    await deleter.delete(
                        resource, metadata["name"], metadata.get("namespace", ""), DeleteOptions(), options
                    )
                except errors.StatusError as error:
                    if error.code != errors.NOT_FOUND:
                        raise
        self._remove_if_empty(name)
