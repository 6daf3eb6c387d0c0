"""Strategic merge patch: lists of objects are merged by the key that the API declares for them.

Source: k8s.io/apimachinery/pkg/util/strategicpatch and the design document "strategic merge patch v2".
"""

from __future__ import annotations

import re
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import merge_key

Path = tuple[str, ...]

DIRECTIVE, RETAIN_KEYS = "$patch", "$retainKeys"
ELEMENT_ORDER, DELETE_PRIMITIVES = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(resource: Resource, current: Object, patch: Object) -> Object:
    """`current` with `patch` merged in. Raises StatusError 400, 422 for a directive that makes no sense."""
    return _merge_object(resource, (), current, patch)


def _merge_object(resource: Resource, path: Path, current: Any, patch: Object) -> Object:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise errors.bad_request(
            f"Unknown patch type {directive!r} found in the patch: replace, delete and merge exist"
        )
    merged = _retained(current if isinstance(current, dict) else {}, patch)
    for field in {_field(key): None for key in patch if key not in (DIRECTIVE, RETAIN_KEYS)}:
        _merge_field(resource, (*path, field), field, merged, patch)
    return merged


def _field(key: str) -> str:
    return key.removeprefix(ELEMENT_ORDER).removeprefix(DELETE_PRIMITIVES)


def _retained(current: Object, patch: Object) -> Object:
    keep = patch.get(RETAIN_KEYS)
    if keep is None:
        return dict(current)
    if not isinstance(keep, list):
        raise errors.bad_request("unsupported type found for retainKeys directive: it must be a list of field names")
    return {key: value for key, value in current.items() if key in keep}


def _merge_field(resource: Resource, path: Path, field: str, merged: Object, patch: Object) -> None:
    """Merge one field of the patch, with the directives about it, into `merged`."""
    value = patch.get(field)
    order = patch.get(ELEMENT_ORDER + field)
    unwanted = patch.get(DELETE_PRIMITIVES + field)
    if field in patch and value is None:
        merged.pop(field, None)
    elif isinstance(value, dict):
        if value.get(DIRECTIVE) == "delete":
            merged.pop(field, None)
        else:
            merged[field] = _merge_object(resource, path, merged.get(field), value)
    elif isinstance(value, list) or order is not None or unwanted is not None:
        merged[field] = _merge_list(resource, path, merged.get(field) or [], value or [], order, unwanted or [])
    else:
        merged[field] = value


def _merge_list(
    resource: Resource, path: Path, current: list[Any], patch: list[Any], order: list[Any] | None, unwanted: list[Any]
) -> list[Any]:
    key = merge_key(resource, path)
    if key is None:
        return patch
    if not key:
        return _merge_primitives(current, patch, order, unwanted)
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]
    merged = _merge_items(resource, path, key, current, patch)
    if order is None:
        return merged
    wanted = [item.get(key) for item in order if isinstance(item, dict)]
    before = [item.get(key) for item in current if isinstance(item, dict)]
    return _ordered(merged, [item.get(key) for item in merged], wanted, before)


def _merge_items(resource: Resource, path: Path, key: str, current: list[Any], patch: list[Any]) -> list[Any]:
    merged = list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise errors.bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next(
            (i for i, known in enumerate(merged) if isinstance(known, dict) and known.get(key) == item[key]), None
        )
        if item.get(DIRECTIVE) == "delete":
            merged = [known for known in merged if not isinstance(known, dict) or known.get(key) != item[key]]
        elif at is None:
            merged.append(_merge_object(resource, path, {}, item))
        else:
            merged[at] = _merge_object(resource, path, merged[at], item)
    return merged


def _merge_primitives(current: list[Any], patch: list[Any], order: list[Any] | None, unwanted: list[Any]) -> list[Any]:
    merged = [item for item in current if item not in unwanted]
    merged += [item for item in dict.fromkeys(patch) if item not in merged]
    return merged if order is None else _ordered(merged, merged, order, current)


def _ordered(items: list[Any], keys: list[Any], wanted: list[Any], before: list[Any]) -> list[Any]:
    """Items named in `wanted` in that order; the others keep their place relative to those they stood beside."""
    named = sorted(
        (pair for pair in zip(keys, items, strict=True) if pair[0] in wanted), key=lambda p: wanted.index(p[0])
    )
    others = [pair for pair in zip(keys, items, strict=True) if pair[0] not in wanted]
    result = []
    while named and others:
        first, other = named[0][0], others[0][0]
        comes_first = first in before and other in before and before.index(first) < before.index(other)
        result.append((named if comes_first else others).pop(0)[1])
    return result + [item for _, item in named + others]


def conversion_error(words: str) -> str:
    """The decoder's words about a wrong JSON type, as the conversion of a strategic patch says them.

    Source: k8s.io/apimachinery/pkg/runtime/converter.go.
    """
    found = re.search(r"cannot unmarshal (\w+)( -?\d+\.\S+)? into .* of type (\S+)$", words)
    if not found:
        return words
    kind = "float64" if found[2] else _KINDS.get(found[1], found[1])
    wanted = found[3]
    if wanted.startswith("[]"):
        return f"cannot restore slice from {kind}"
    if wanted.startswith("map["):
        return f"cannot restore map from {kind}"
    if "." in wanted:
        return f"cannot restore struct from: {kind}"
    convertible = (kind, wanted) == ("int64", "string") or (kind == "float64" and wanted.startswith("int"))
    return f"cannot convert {kind} to {wanted}" if convertible else f"unrecognized type: {wanted}"


_KINDS = {"number": "int64", "object": "map", "array": "slice"}


def consumed(patch: Any) -> Any:
    """What the real merge leaves of a patch that it has worked through: lists with directives are gone."""
    if not isinstance(patch, dict):
        return patch
    directives = [key for key in patch if key.startswith((ELEMENT_ORDER, DELETE_PRIMITIVES))]
    gone = {*directives, *map(_field, directives), RETAIN_KEYS}
    return {key: consumed(value) for key, value in patch.items() if key not in gone}


def go_map(value: Any) -> str:
    """A JSON value as Go prints it with %+v: ``map[spec:map[replicas:many]]``."""
    match value:
        case dict():
            return f"map[{' '.join(f'{key}:{go_map(value[key])}' for key in sorted(value))}]"
        case list():
            return f"[{' '.join(go_map(item) for item in value)}]"
        case bool():
            return str(value).lower()
        case None:
            return "<nil>"
        case _:
            return str(value)
