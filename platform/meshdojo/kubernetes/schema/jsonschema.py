"""The JSON types inside a CustomResourceDefinition's schema.

A schema of the wrong shape (``pattern: 5``) must be refused when it is written: later readers take it at its word.
Source: JSONSchemaProps in k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/types.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_STRUCT, _RULE = "JSONSchemaProps", "ValidationRule"
_TYPES = {
    **dict.fromkeys(("id", "$schema", "$ref", "description", "type", "format", "title", "pattern"), "string"),
    **dict.fromkeys(("x-kubernetes-list-type", "x-kubernetes-map-type"), "string"),
    **dict.fromkeys(("nullable", "uniqueItems", "exclusiveMaximum", "exclusiveMinimum"), "bool"),
    **dict.fromkeys(("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"), "bool"),
    "x-kubernetes-int-or-string": "bool",
    **dict.fromkeys(("maximum", "minimum", "multipleOf"), "float64"),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), "int64"),
    **dict.fromkeys(("required", "x-kubernetes-list-map-keys"), "[]string"),
    "enum": "[]JSON",
    "x-kubernetes-validations": "[]ValidationRule",
    "externalDocs": "ExternalDocumentation",
    "not": _STRUCT,
    **dict.fromkeys(("allOf", "oneOf", "anyOf"), f"[]{_STRUCT}"),
    **dict.fromkeys(("properties", "patternProperties", "definitions"), f"map[string]{_STRUCT}"),
    "items": f"{_STRUCT}OrArray",
    **dict.fromkeys(("additionalProperties", "additionalItems"), f"{_STRUCT}OrBool"),
}
_RULE_TYPES = {
    **dict.fromkeys(("rule", "message", "messageExpression", "reason", "fieldPath"), "string"),
    "optionalOldSelf": "bool",
}

Wrong = tuple[Any, str, tuple[str, ...], str]
"""(the value, the Go struct that has the field, the field's names from the schema on, the Go type it should have)."""


def wrong_types(schema: Any, names: tuple[str, ...] = ()) -> Iterator[Wrong]:
    """Each value of the wrong type in a schema, in its order; null counts as left out."""
    if not isinstance(schema, dict):
        yield schema, _STRUCT, names, _STRUCT
        return
    for name, value in schema.items():
        wanted = _TYPES.get(name)
        if value is not None and wanted is not None:
            yield from _wrong(value, _STRUCT, (*names, name), wanted)


def _wrong(value: Any, owner: str, names: tuple[str, ...], wanted: str) -> Iterator[Wrong]:
    if wanted == _STRUCT:
        yield from ((v, owner if v is value else o, n, w) for v, o, n, w in wrong_types(value, names))
    elif wanted == _RULE and isinstance(value, dict):
        for name, given in value.items():
            if given is not None and name in _RULE_TYPES:
                yield from _wrong(given, _RULE, (*names, name), _RULE_TYPES[name])
    elif wanted.startswith("[]") and isinstance(value, list):
        for item in value:
            yield from _wrong(item, owner, names, wanted[2:])
    elif wanted.startswith("map[") and isinstance(value, dict):
        for item in value.values():
            yield from _wrong(item, owner, names, _STRUCT)
    elif wanted == f"{_STRUCT}OrArray" and isinstance(value, list):
        for item in value:
            yield from wrong_types(item, names)
    elif wanted.startswith(f"{_STRUCT}Or") and isinstance(value, dict):
        yield from wrong_types(value, names)
    elif not _is(value, wanted):
        yield value, owner, names, wanted


def _is(value: Any, wanted: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted:
        case "string":
            return isinstance(value, str)
        case "bool" | "JSONSchemaPropsOrBool":
            return isinstance(value, bool)
        case "float64":
            return number
        case "int64":
            return number and isinstance(value, int) and -(2**63) <= value < 2**63
        case "ExternalDocumentation":
            return isinstance(value, dict)
    return wanted == "JSON"
