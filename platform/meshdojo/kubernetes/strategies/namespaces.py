"""Namespaces: the label with the name, the finalizer that a controller takes away when the namespace is empty."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.strategies.strategy import Strategy, with_field

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """Source: pkg/registry/core/namespace/strategy.go and storage."""

    def prepare_create(self, obj: Object) -> Object:
        """A new namespace is Active."""
        finalizers = list(obj.get("spec", {}).get("finalizers") or [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
        return {**_labelled(obj), "spec": {"finalizers": finalizers}, "status": {"phase": "Active"}}

    def prepare_update(self, new: Object, old: Object) -> Object:
        """Only metadata can be changed; finalizers go through namespaces/finalize."""
        prepared = super().prepare_update(_labelled(new), old)
        return with_field(prepared, "spec", old.get("spec"))


def _labelled(obj: Object) -> Object:
    metadata = obj["metadata"]
    if not metadata.get("name"):
        return obj
    labels = {**(metadata.get("labels") or {}), NAME_LABEL: metadata["name"]}
    return {**obj, "metadata": {**metadata, "labels": labels}}
