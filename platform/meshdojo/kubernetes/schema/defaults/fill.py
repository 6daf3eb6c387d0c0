"""Small helpers to fill in absent fields."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object


def fill(target: Object, **values: Any) -> None:
    """Set each field that is absent (or empty, as Go's zero value is)."""
    for name, value in values.items():
        if target.get(name) in (None, ""):
            target[name] = value


def child(target: Object, name: str) -> Object:
    """The object in field `name`, made when absent."""
    value: Object = target.setdefault(name, {})
    return value
