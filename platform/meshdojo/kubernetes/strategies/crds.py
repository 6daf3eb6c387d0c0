"""CustomResourceDefinitions: served at once, and their status says so."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.strategies.strategy import Strategy
from meshdojo.kubernetes.timestamps import now

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class CustomResourceDefinitionStrategy(Strategy):
    """Source: apiextensions-apiserver pkg/registry/customresourcedefinition and its naming controller."""

    def prepare_create(self, obj: Object) -> Object:
        """Names are accepted and the kind is established in the same write."""
        obj = _defaulted(obj)
        metadata = {**obj["metadata"], "finalizers": [CLEANUP_FINALIZER]}
        conditions = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
        return {**obj, "metadata": metadata, "status": _status(obj, conditions, [])}

    def prepare_update(self, new: Object, old: Object) -> Object:
        """A changed definition is accepted at once too; versions once stored stay listed."""
        new = super().prepare_update(_defaulted(new), old)
        status = old.get("status") or {}
        return {**new, "status": _status(new, status.get("conditions") or [], status.get("storedVersions") or [])}


def _defaulted(crd: Object) -> Object:
    """What is missing altogether is left to the validation, which comes after this."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    if kind:
        names = {"singular": kind.lower(), "listKind": f"{kind}List", **names}
    return {**crd, "spec": {"conversion": {"strategy": "None"}, **spec, "names": names}}


def _status(crd: Object, conditions: list[Any], stored: list[str]) -> Object:
    versions = crd["spec"].get("versions") or ()
    storage = [version.get("name", "") for version in versions if version.get("storage")]
    stored = [*stored, *(version for version in storage if version not in stored)]
    return {"acceptedNames": crd["spec"]["names"], "conditions": conditions, "storedVersions": stored}


def _condition(kind: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()}
