"""The forms an object or list can be shown in: itself, a table for people, or its metadata only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.http.negotiation import Form
from meshdojo.kubernetes.resources import Resource

FORMS: tuple[Form, ...] = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


def show(resource: Resource, value: Object, form: Form, query: Mapping[str, str]) -> Object:
    """An object or a list of this resource in the form that was negotiated."""
    items = value.get("items") if value.get("kind") == resource.list_kind else None
    if form == "Table":
        objects = [value] if items is None else items
        return table(resource, objects, value["metadata"], query, headers=True)
    if form and items is not None:
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": value["metadata"],
            "items": [metadata_only(item) for item in items],
        }
    return metadata_only(value) if form else value


def metadata_only(obj: Object) -> Object:
    """The PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def table(
    resource: Resource, objects: list[Object], metadata: Object, query: Mapping[str, str], *, headers: bool
) -> Object:
    """A Table of these objects; `metadata` is the list's (or the one object's)."""
    from meshdojo.kubernetes.tables import to_table

    made = to_table(
        resource,
        objects,
        include_object=_included(query.get("includeObject") or "Metadata"),
        headers=headers,
        resource_version=metadata.get("resourceVersion", ""),
        now=datetime.now(UTC),
    )
    paging = {field: metadata[field] for field in ("continue", "remainingItemCount") if field in metadata}
    return {**made, "metadata": {**made["metadata"], **paging}} if paging else made


def _included(value: str) -> Literal["None", "Metadata", "Object"]:
    match value:
        case "None" | "Metadata" | "Object":
            return value
    raise errors.bad_request(f'unrecognized includeObject value: "{value}"')
