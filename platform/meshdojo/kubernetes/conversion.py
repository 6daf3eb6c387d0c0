"""Between the version a client asks for and the version that is stored.

Versions of a custom resource differ in apiVersion only (conversion strategy None). What was stored before its
definition changed is read with the fields and defaults that the stored version has now, and stays as it is. Events have
two shapes: core/v1's, which is the stored one, and events.k8s.io/v1's. So have autoscalers (`autoscalers`).
"""

from __future__ import annotations

from dataclasses import replace

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import autoscalers
from meshdojo.kubernetes.resources import Resource, group_version
from meshdojo.kubernetes.schema import apply_defaults
from meshdojo.kubernetes.schema.structural import prune, schema_of

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
    elif has_other_shape(resource):
        obj = autoscalers.to_v1(obj)
    elif resource.crd is not None and _is_older(obj, resource.crd):
        stored = _stored(resource)
        obj = apply_defaults(stored, prune(schema_of(stored), obj)[0])
    if obj.get("apiVersion") == resource.api_version:
        return obj
    return {**obj, "apiVersion": resource.api_version}


def to_storage(obj: Object, resource: Resource) -> Object:
    """An object of this resource as it is stored."""
    if _is_new_event(resource):
        return {**{_CORE_FIELDS.get(field, field): value for field, value in obj.items()}, "apiVersion": "v1"}
    if has_other_shape(resource):
        return autoscalers.to_v2(obj)
    stored = group_version(resource.group, resource.storage_version)
    if obj.get("apiVersion") == stored:
        return obj
    obj = {**obj, "apiVersion": stored}
    return obj if resource.crd is None else apply_defaults(_stored(resource), obj)


def has_other_shape(resource: Resource) -> bool:
    """Whether the kind has other fields in this version than in the one that is stored (whose rules apply)."""
    return resource.storage == autoscalers.STORAGE and resource.version != resource.storage_version


def _stored(resource: Resource) -> Resource:
    """The resource at the version in which its objects are stored."""
    return replace(resource, version=resource.storage_version)


def _is_older(obj: Object, crd: Object) -> bool:
    """Whether the object was written before its definition was: both take their versions from one row."""
    written, defined = (int(one["metadata"].get("resourceVersion") or 0) for one in (obj, crd))
    return written < defined


def _is_new_event(resource: Resource) -> bool:
    return resource.storage == "events" and resource.group == "events.k8s.io"
