"""The tables of custom resources: ``additionalPrinterColumns``.

Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.tables.ages import age, parse_time
from meshdojo.kubernetes.tables.columns import Column, Printer, name_of
from meshdojo.kubernetes.tables.jsonpath import JSONPathError, find

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def custom_printer(resource: Resource) -> Printer:
    """The columns that the CRD declares for this version; only Age when it declares none."""
    assert resource.crd is not None
    versions = resource.crd["spec"]["versions"]
    version: Object = next((v for v in versions if v["name"] == resource.version), {})
    declared = version.get("additionalPrinterColumns") or [_AGE]
    columns = [Column(c["name"], c["type"], bool(c.get("priority"))) for c in declared]

    def cells(obj: Object, now: datetime) -> list[Any]:
        return [name_of(obj), *(_cell(column, obj, now) for column in declared)]

    return Printer([Column("Name"), *columns], cells)


def _cell(column: Object, obj: Object, now: datetime) -> Any:
    try:
        found = find(column["jsonPath"], obj)
    except JSONPathError:
        return None
    if not found:
        return None
    return _converted(column["type"], found[0], now)


def _converted(kind: str, value: Any, now: datetime) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "date":
        return age(value, now) if parse_time(value) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number:
        return None
    return int(value) if kind == "integer" else value


def _text(value: Any) -> str:
    """As the JSONPath printer does: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
