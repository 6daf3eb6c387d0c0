"""The JSONPath of ``additionalPrinterColumns``.

Source: https://kubernetes.io/docs/reference/kubectl/jsonpath/, the part that the API server allows in a CRD: fields,
indexes, wildcards, and filters that compare with == or != (or ask for a field).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.?\[\s*'(?P<quoted>(?:[^'\\]|\\.)*)'\s*\]
      | \.?\[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]
      | \.?\[\s*\?\(\s*@(?P<path>[^=!)\s]*)\s*(?:(?P<operator>[=!]=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+))?\s*\)\s*\]
      | \.?\[\s*(?P<index>-?\d+)\s*\]
      | \.?\[\s*\*\s*\] | \.\*
      | \.(?P<field>(?:[^.\[\]\\]|\\.)+)""",
    re.VERBOSE,
)


class JSONPathError(ValueError):
    """The path cannot be read."""


def find(path: str, value: Any) -> list[Any]:
    """Everything that `path` (``.spec.hosts``) leads to. Raises JSONPathError for a path that cannot be read."""
    found = [value]
    for step in _steps(path):
        found = [below for item in found for below in _follow(step, item)]
    return found


@lru_cache(maxsize=512)
def _steps(path: str) -> tuple[re.Match[str], ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    text = text if text.startswith((".", "[")) else f".{text}"
    steps, position = [], 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise JSONPathError(f"cannot read the JSONPath {path!r} from {text[position:]!r}")
        steps.append(step)
        position = step.end()
    return tuple(steps)


def _follow(step: re.Match[str], value: Any) -> Iterator[Any]:
    name = step["quoted"] or step["double"] or step["field"]
    if name is not None:
        key = re.sub(r"\\(.)", r"\1", name)
        if isinstance(value, dict) and key in value:
            yield value[key]
    elif step["index"] is not None:
        if isinstance(value, list) and -len(value) <= int(step["index"]) < len(value):
            yield value[int(step["index"])]
    elif step["path"] is not None:
        yield from (item for item in _items(value) if _holds(step, item))
    else:
        yield from _items(value)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _holds(step: re.Match[str], item: Any) -> bool:
    found = find(step["path"], item) if step["path"] else [item]
    if step["operator"] is None:
        return bool(found)
    wanted = step["value"].strip("\"'")
    equal = any(_text(candidate) == wanted for candidate in found)
    return equal if step["operator"] == "==" else bool(found) and not equal


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
