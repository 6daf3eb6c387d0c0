"""Between the version a client asks for and the version that is stored.

Versions of a custom resource differ in apiVersion only (conversion strategy None). Events have two shapes: core/v1's,
which is the stored one, and events.k8s.io/v1's.
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource, group_version

# Field of core/v1 Event -> field of events.k8s.io/v1 Event.
_EVENT_FIELDS = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_FIELDS = {new: old for old, new in _EVENT_FIELDS.items()}


def to_version(obj: Object, resource: Resource) -> Object:
    """A stored object as this resource shows it."""
    if _is_new_event(resource):
        obj = {_EVENT_FIELDS.get(field, field): value for field, value in obj.items()}
    if obj.get("apiVersion") == resource.api_version:
        return obj
    return {**obj, "apiVersion": resource.api_version}


def to_storage(obj: Object, resource: Resource) -> Object:
    """An object of this resource as it is stored."""
    if _is_new_event(resource):
        return {**{_CORE_FIELDS.get(field, field): value for field, value in obj.items()}, "apiVersion": "v1"}
    stored = group_version(resource.group, resource.storage_version)
    return obj if obj.get("apiVersion") == stored else {**obj, "apiVersion": stored}


def _is_new_event(resource: Resource) -> bool:
    return resource.storage == "events" and resource.group == "events.k8s.io"
