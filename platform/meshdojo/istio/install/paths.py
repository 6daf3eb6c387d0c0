"""Dotted paths of ``--set``: parsing, setting and looking up.

Source: the strvals and tpath packages that istioctl uses (``a.b[0].c=value``, dots in names escaped as ``\\.``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

JSON = dict[str, Any]
Step = str | int
_TOKEN = re.compile(r"((?:\\.|[^.\[\\])+)|\[([^\]]*)\]|(\.)")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)")


class BadOption(ValueError):
    """An option that cannot be used; the message says which and, as far as known, what is allowed."""


def assignment(text: str) -> tuple[list[Step], Any]:
    """``path=value`` as steps and a value: true, false and numbers are those, all else is text. Raises BadOption."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise BadOption(f"invalid flag value {text!r}: expected path=value, such as profile=demo")
    return steps(path), scalar(value)


def steps(path: str) -> list[Step]:
    """The names and indexes of a dotted path. Raises BadOption."""
    found: list[Step] = []
    position = 0
    while position < len(path):
        token = _TOKEN.match(path, position)
        if token is None:
            raise BadOption(f"invalid path {path!r}: cannot be read from {path[position:]!r} on")
        name, index, _ = token.groups()
        if name is not None:
            found.append(re.sub(r"\\(.)", r"\1", name))
        elif index is not None:
            found.append(int(index) if index.isdigit() else f"[{index}]")
        position = token.end()
    return found


def scalar(text: str) -> Any:
    """A value of ``--set`` as Helm reads it: booleans, whole numbers, ``{a,b}`` lists, else text.

    Source: helm.sh/helm/v3/pkg/strvals.
    """
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return int(text)
    if text.startswith("{") and text.endswith("}"):
        return [scalar(part) for part in text[1:-1].split(",") if part]
    return text.removeprefix('"').removesuffix('"') if text.startswith('"') else text


def assign(tree: JSON, path: Sequence[Step], value: Any) -> None:
    """Set `value` in `tree`, which is changed; missing mappings and lists are made. Raises BadOption."""
    node: Any = tree
    for step, following in zip(path, [*path[1:], None], strict=True):
        empty: Any = [] if isinstance(following, int) or _selects(following) else {}
        key = _place(node, step)
        if following is None:
            node[key] = value
            return
        if node[key] is None or (not isinstance(node[key], (dict, list))):
            node[key] = empty
        node = node[key]


def _selects(step: Step | None) -> bool:
    return isinstance(step, str) and step.startswith("[")


def _place(node: Any, step: Step) -> Any:
    """The key or index that a step means in `node`, made where it is missing."""
    if isinstance(node, list):
        return _index(node, step)
    if not isinstance(node, dict) or isinstance(step, int):
        raise BadOption(f"merge inputs: path not found: [{step}] is no index here")
    node.setdefault(step, None)
    return step


def _index(node: list[Any], step: Step) -> int:
    if isinstance(step, int):
        if step > len(node):
            raise BadOption(f"merge inputs: element [{step}] not found: the list has {len(node)} elements")
        if step == len(node):
            node.append({})
        return step
    name, _, wanted = step.strip("[]").partition(":")
    for index, entry in enumerate(node):
        if isinstance(entry, dict) and entry.get(name) == wanted:
            return index
    raise BadOption(f"merge inputs: element {step} not found")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> JSON:
    """`over` on top of `base`: mappings are merged, lists of named entries by name, all else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        elif _named(old) and _named(value):
            result[key] = _merged_by_name(old, value)
        else:
            result[key] = value
    return result


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) and "name" in entry for entry in value)


def _merged_by_name(old: Any, new: Any) -> list[JSON]:
    entries: dict[str, JSON] = {entry["name"]: entry for entry in old}
    for entry in new:
        entries[entry["name"]] = merged(entries.get(entry["name"], {}), entry)
    return list(entries.values())


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All values with their dotted paths; indexes of lists are left out of the path."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, list) and tree and isinstance(tree[0], Mapping):
        for entry in tree:
            yield from leaves(entry, prefix)
    else:
        yield prefix, tree
