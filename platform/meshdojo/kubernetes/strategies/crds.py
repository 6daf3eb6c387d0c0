"""CustomResourceDefinitions: served in the same write that gives them their names, and their status says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.naming import with_accepted_names
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.strategies.strategy import Strategy

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class CustomResourceDefinitionStrategy(Strategy):
    """Source: apiextensions-apiserver pkg/registry/customresourcedefinition and its naming controller."""

    def __init__(self, resource: Resource, definitions: Callable[[], Iterable[Object]]) -> None:
        """`definitions` lists what is stored."""
        super().__init__(resource)
        self._definitions = definitions
        self.deletion_finalizers = (CLEANUP_FINALIZER,)

    def prepare_create(self, obj: Object) -> Object:
        """Names are given and the kind is established in the same write, unless another definition has them."""
        obj = _defaulted({**obj, "status": {}})
        return _with_stored_versions(self._named(obj))

    def prepare_update(self, new: Object, old: Object) -> Object:
        """A changed definition is judged at once too; versions once stored stay listed."""
        new = super().prepare_update(_defaulted(new), old)
        return _with_stored_versions(self._named(new))

    def _named(self, crd: Object) -> Object:
        group = crd["spec"].get("group")
        return with_accepted_names(crd, [one for one in self._definitions() if one["spec"]["group"] == group])


def _defaulted(crd: Object) -> Object:
    """What is missing altogether is left to the validation, which comes after this."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    if kind:
        names = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    return {**crd, "spec": {"conversion": {"strategy": "None"}, **spec, "names": names}}


def _with_stored_versions(crd: Object) -> Object:
    versions = crd["spec"].get("versions") or ()
    status = crd["status"]
    stored: list[Any] = status.get("storedVersions") or []
    storage = [version.get("name", "") for version in versions if version.get("storage")]
    stored = [*stored, *(version for version in storage if version not in stored)]
    return {**crd, "status": {**status, "storedVersions": stored}}
