"""What the objects of each resource look like: decoding, defaults, validation, merge keys.

Built-in kinds follow the types of the installed ``kubernetes`` client (`cache`, `types`); custom resources follow the
structural schema of their CustomResourceDefinition (`structural`, `rules`).
"""

from __future__ import annotations

from typing import Literal

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.custom import decode_custom, validate_custom
from meshdojo.kubernetes.schema.decoding import DecodeError, decode_struct
from meshdojo.kubernetes.schema.defaults import default_builtin
from meshdojo.kubernetes.schema.merge import atomic, merge_key
from meshdojo.kubernetes.schema.structural import apply_schema_defaults, schema_of
from meshdojo.kubernetes.schema.types import of_resource
from meshdojo.kubernetes.schema.validation import validate_builtin

FieldValidation = Literal["Strict", "Warn", "Ignore"]

__all__ = ["FieldValidation", "Undecodable", "apply_defaults", "atomic", "decode", "merge_key", "validate"]


class Undecodable(errors.StatusError):
    """400 BadRequest: this is no object of its kind. `words` are the decoder's alone."""

    def __init__(self, resource: Resource, words: str) -> None:
        kind = resource.kind
        message = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {words}'
        super().__init__(errors.BAD_REQUEST, "BadRequest", message)
        self.words = words


def decode(resource: Resource, obj: Object, *, field_validation: FieldValidation) -> tuple[Object, list[str]]:
    """(`obj` without unknown fields and empty values, the warnings: ``unknown field "spec.foo"``).

    Raises Undecodable with the real decoder's words for a wrong JSON type, and for unknown fields when
    `field_validation` is Strict.
    """
    try:
        decoded, unknown = _decode(resource, obj)
    except DecodeError as error:
        raise Undecodable(resource, str(error)) from None
    found = [f'unknown field "{path}"' for path in unknown]
    if found and field_validation == "Strict":
        raise Undecodable(resource, f"strict decoding error: {', '.join(found)}")
    return decoded, found if field_validation == "Warn" else []


def _decode(resource: Resource, obj: Object) -> tuple[Object, list[str]]:
    if resource.crd is not None:
        return decode_custom(resource, obj)
    owner = of_resource(resource)
    return decode_struct(owner, obj) if owner is not None else (obj, [])


def apply_defaults(resource: Resource, obj: Object) -> Object:
    """`obj` with the defaults of its kind: a new object when anything was added. `obj` has been decoded."""
    if resource.crd is not None:
        return apply_schema_defaults(schema_of(resource), obj)
    # A version that is not stored is completed after its conversion.
    return default_builtin(resource, obj) if resource.version == resource.storage_version else obj


def validate(resource: Resource, obj: Object, old: Object | None) -> None:
    """Raises StatusError 422 Invalid with all causes. `obj` has its defaults; `old` is the stored object (updates)."""
    if resource.crd is not None:
        validate_custom(resource, obj, old)
    else:
        validate_builtin(resource, obj, old)
