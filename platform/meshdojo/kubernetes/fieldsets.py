"""The fields of an object as managedFields names them, one by one.

A path is a tuple of elements as FieldsV1 writes them: ``f:NAME`` a field, ``k:{...}`` an element of a list by its keys,
``v:...`` an element of a set by its value.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and FieldsV1 of meta/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import atomic, merge_key
from meshdojo.kubernetes.schema.structural import schema_of

Path = tuple[str, ...]

ITEM = object()
"""The value that stands for "this element is in the list"."""

# What no manager owns: identity, and what the server itself maintains.
_UNOWNED = frozenset(["apiVersion", "kind"])
_UNOWNED_METADATA = frozenset(
    [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generateName",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    ]
)
# Lists whose elements need a second key. The first is the merge key of strategic merge patch.
_SECOND_KEYS = {"containerPort": {"protocol": "TCP"}, "port": {"protocol": "TCP"}}
_METADATA_LISTS: dict[str, dict[str, Any]] = {"finalizers": {}, "ownerReferences": {"uid": None}}


def list_keys(resource: Resource, names: Path) -> dict[str, Any] | None:
    """How elements of the list at `names` (field names, no indexes) are told apart.

    Key fields with their defaults for a list of type map, {} for a set, None for a list that is one value.
    """
    if resource.crd is not None:
        return _custom_list_keys(resource, names)
    key = merge_key(resource, names)
    if key is None:
        return None
    return {key: None, **_SECOND_KEYS.get(key, {})} if key else {}


def one_value(resource: Resource, names: Path) -> bool:
    """Whether the object at `names` is owned as a whole."""
    if not names:
        return False
    if resource.crd is not None:
        return _custom_schema(resource, names).get("x-kubernetes-map-type") == "atomic"
    return atomic(resource, names)


def _custom_schema(resource: Resource, names: Path) -> dict[str, Any]:
    """What a custom resource's schema says of the field at `names`; {} for nothing."""
    schema: Any = schema_of(resource)
    for name in names:
        schema = schema.get("items", schema) if isinstance(schema, dict) else {}
        schema = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties") or {}
    return schema if isinstance(schema, dict) else {}


def _custom_list_keys(resource: Resource, names: Path) -> dict[str, Any] | None:
    if names[0] == "metadata":
        return _METADATA_LISTS.get(names[-1])
    schema = _custom_schema(resource, names)
    match schema.get("x-kubernetes-list-type"):
        case "map":
            properties = (schema.get("items") or {}).get("properties") or {}
            return {key: (properties.get(key) or {}).get("default") for key in schema["x-kubernetes-list-map-keys"]}
        case "set":
            return {}
    return None


def element(keys: dict[str, Any], item: Any) -> str:
    """The path element of one item of a list with these keys."""
    if not keys:
        return f"v:{_json(item)}"
    named = {key: item.get(key, default) for key, default in keys.items()}
    return f"k:{_json({key: value for key, value in named.items() if value is not None})}"


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def fields_of(resource: Resource, obj: Object) -> dict[Path, Any]:
    """Every field that someone can own, with its value."""
    return dict(_walk(resource, obj, (), ()))


def _walk(resource: Resource, value: Any, names: Path, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not one_value(resource, names):
        for name, child in value.items():
            if not _unowned(names, name):
                yield from _walk(resource, child, (*names, name), (*path, f"f:{name}"))
    elif isinstance(value, list) and (keys := _keys_of(resource, names, value)) is not None:
        for item in value:
            yield from _walk_item(resource, item, keys, names, path)
    else:
        yield path, value


def _keys_of(resource: Resource, names: Path, items: list[Any]) -> dict[str, Any] | None:
    """As `list_keys`; a list whose elements cannot have the keys (it is about to be refused) is one value, too."""
    keys = list_keys(resource, names)
    return None if keys and not all(isinstance(item, dict) for item in items) else keys


def _walk_item(
    resource: Resource, item: Any, keys: dict[str, Any], names: Path, path: Path
) -> Iterator[tuple[Path, Any]]:
    below = (*path, element(keys, item))
    yield below, ITEM
    if keys:
        yield from _walk(resource, item, names, below)


def _unowned(names: Path, name: str) -> bool:
    return (not names and name in _UNOWNED) or (names == ("metadata",) and name in _UNOWNED_METADATA)


def encode(paths: Iterable[Path]) -> Object:
    """A set of paths as FieldsV1."""
    encoded: Object = {}
    for path in sorted(paths):
        node = encoded
        for part in path:
            node = node.setdefault(part, {})
        if path and path[-1][:2] in ("k:", "v:"):
            node["."] = {}
    return _without_leaf_dots(encoded)


def _without_leaf_dots(node: Object) -> Object:
    """An element that is owned as a whole and has nothing below it is written as {}."""
    if list(node) == ["."]:
        return {}
    return {name: child if name == "." else _without_leaf_dots(child) for name, child in node.items()}


def decode(encoded: Object, path: Path = ()) -> Iterator[Path]:
    """The paths of a FieldsV1."""
    if not encoded and path:
        yield path
    for name, child in encoded.items():
        if name == ".":
            yield path
        else:
            yield from decode(child, (*path, name))
