"""Which lists a strategic merge patch merges, and by which field."""

from __future__ import annotations

from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import facts
from meshdojo.kubernetes.schema.types import Struct, of_resource, struct


def merge_key(resource: Resource, path: tuple[str, ...]) -> str | None:
    """The field that identifies the elements of the list at `path` (field names without indexes).

    ``("spec", "containers")`` of a pod -> "name"; "" for a list of scalars that is merged as a set; None for a list
    that is replaced as a whole (and for custom resources, which have no strategic merge patch).
    """
    owner = _owner(resource, path)
    return facts.MERGE_KEYS.get((owner.name, path[-1])) if owner is not None else None


def retains_keys(resource: Resource, path: tuple[str, ...]) -> bool:
    """Whether the field at `path` has the strategy retainKeys (``$retainKeys`` in patches)."""
    owner = _owner(resource, path)
    return owner is not None and (owner.name, path[-1]) in facts.RETAIN_KEYS


def atomic(resource: Resource, path: tuple[str, ...]) -> bool:
    """Whether the object at `path` is one value for server-side apply: set as a whole, and owned as a whole."""
    owner = _owner(resource, path)
    if owner is None:
        return False
    field = owner.fields.get(path[-1])
    shape = field.shape if field is not None else None
    return (owner.name, path[-1]) in facts.ATOMIC_MAPS or (shape is not None and shape.model in facts.ATOMIC_STRUCTS)


def _owner(resource: Resource, path: tuple[str, ...]) -> Struct | None:
    """The struct that has the last field of `path`."""
    if not path or resource.crd is not None:
        return None
    owner = of_resource(resource)
    for name in path[:-1]:
        field = owner.fields.get(name) if owner is not None else None
        shape = field.shape if field is not None else None
        while shape is not None and shape.item is not None:
            shape = shape.item
        owner = struct(shape.model) if shape is not None and shape.base == "struct" else None
    return owner
