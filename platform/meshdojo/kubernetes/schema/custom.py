"""Decoding and checking objects of custom resources."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.decoding import DecodeError, decode_struct
from meshdojo.kubernetes.schema.rules import check_rules, has_rules
from meshdojo.kubernetes.schema.structural import check, check_list_types, prune, schema_of
from meshdojo.kubernetes.schema.types import struct
from meshdojo.kubernetes.schema.validation.metadata import check_metadata

# After one of these the object's shape is not certain enough to evaluate CEL rules.
_BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


def decode_custom(resource: Resource, obj: Object) -> tuple[Object, list[str]]:
    """(`obj` pruned, the paths of unknown fields: those of metadata first). Raises DecodeError for bad metadata."""
    kept, unknown = prune(schema_of(resource), obj)
    if "metadata" in obj:
        metadata, unknown_metadata = _decode_metadata(obj["metadata"])
        kept["metadata"] = metadata
        unknown = [*unknown_metadata, *unknown]
    return kept, unknown


def _decode_metadata(metadata: Any) -> tuple[Object, list[str]]:
    decoded, unknown = decode_struct(struct("V1ObjectMeta"), {} if metadata is None else metadata)
    return decoded, [f"metadata.{path}" for path in unknown]


def validate_custom(resource: Resource, obj: Object, old: Object | None) -> None:
    """Raises the 422 with every violation of metadata, schema, list types and CEL rules."""
    schema = schema_of(resource)
    causes: list[FieldError] = []
    if obj.get("kind") != resource.kind:
        causes.append(FieldError.invalid("kind", obj.get("kind", ""), f"must be {resource.kind}"))
    causes += check_metadata(resource, obj, old)
    causes += check(schema, obj)
    causes += check_list_types(schema, obj)
    if any(cause.reason in _BLOCKING for cause in causes):
        if has_rules(schema):
            causes.append(FieldError.invalid("<nil>", None, _UNCHECKED))
    else:
        causes += check_rules(schema, obj, old) if old is not None else check_rules(schema, obj)
    if causes:
        raise errors.invalid_object(resource, obj.get("metadata", {}).get("name", ""), causes)


__all__ = ["DecodeError", "decode_custom", "validate_custom"]
