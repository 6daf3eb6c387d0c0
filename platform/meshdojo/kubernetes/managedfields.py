"""metadata.managedFields: who set which field.

Writes that come with a field manager are tracked; what the cluster's own parts write in process is not.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.fieldsets import Path, decode, encode, fields_of
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.strategies.strategy import with_field
from meshdojo.kubernetes.timestamps import now

APPLY, UPDATE = "Apply", "Update"
_MISSING = object()


@dataclass(frozen=True)
class Manager:
    """Who, and how: the identity of an entry."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        """As conflicts name it."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True)
class Entry:
    """What one manager owns, and since when."""

    manager: Manager
    fields: frozenset[Path]
    time: str

    def encode(self) -> Object:
        """The ManagedFieldsEntry."""
        entry: Object = {
            "manager": self.manager.name,
            "operation": self.manager.operation,
            "apiVersion": self.manager.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode(self.fields),
        }
        if self.manager.subresource:
            entry["subresource"] = self.manager.subresource
        return entry


def entries_of(obj: Object) -> list[Entry]:
    """The managedFields of an object. An entry that names no manager (a client's way to clear them) is left out."""
    return [_entry(raw) for raw in obj["metadata"].get("managedFields") or [] if raw.get("manager")]


def _entry(raw: Object) -> Entry:
    manager = Manager(raw["manager"], raw.get("operation", ""), raw.get("apiVersion", ""), raw.get("subresource", ""))
    return Entry(manager, frozenset(decode(raw.get("fieldsV1") or {})), raw.get("time") or now())


def with_entries(obj: Object, entries: list[Entry]) -> Object:
    """The object with these managedFields; entries that own nothing are dropped."""
    encoded = [entry.encode() for entry in entries if entry.fields]
    return {**obj, "metadata": with_field(obj["metadata"], "managedFields", encoded or None)}


def track_update(resource: Resource, new: Object, old: Object | None, name: str, subresource: str) -> Object:
    """`new` with managedFields that say what the manager `name` changed. Nothing changed: they stay as they are."""
    before = _written(resource, old, subresource) if old is not None else {}
    after = _written(resource, new, subresource)
    changed = {path for path, value in after.items() if before.get(path, _MISSING) != value}
    removed = before.keys() - after.keys()
    if not changed and not removed:
        return new
    manager = Manager(name, UPDATE, resource.api_version, subresource)
    entries = [_reduced(entry, manager, changed, removed) for entry in entries_of(new)]
    mine = next((entry for entry in entries if entry.manager == manager), Entry(manager, frozenset(), ""))
    others = [entry for entry in entries if entry.manager != manager]
    return with_entries(new, [*others, replace(mine, fields=mine.fields | changed, time=now())])


def _written(resource: Resource, obj: Object, subresource: str) -> dict[Path, Any]:
    """The fields that a write may set: a status of its own is not set with the object."""
    fields = fields_of(resource, obj)
    if subresource or "status" not in resource.subresources:
        return fields
    return {path: value for path, value in fields.items() if path[0] != "f:status"}


def _reduced(entry: Entry, manager: Manager, changed: set[Path], removed: set[Path]) -> Entry:
    lost = removed if entry.manager == manager else changed | removed
    return replace(entry, fields=entry.fields - lost)
