"""Temporary: stands in for meshdojo.kubernetes.schema until that lands."""

from __future__ import annotations

import copy

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource


def decode(resource: Resource, obj: Object, *, field_validation: str) -> tuple[Object, list[str]]:
    return copy.deepcopy(obj), []


def apply_defaults(resource: Resource, obj: Object) -> Object:
    return obj


def validate(resource: Resource, obj: Object, old: Object | None) -> None:
    return None


def merge_keys(resource: Resource, path: str) -> str | None:
    return None
