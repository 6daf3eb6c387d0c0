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
    "x-kubernetes-validations": "ValidationRules",
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

BOOL_OR_SCHEMA = "JSONSchemaPropsOrBool"
"""This one has a decoder of its own, with words of its own."""


def wrong_types(schema: dict[str, Any], names: tuple[str, ...] = ()) -> Iterator[Wrong]:
    """Each value of the wrong type in a schema, in its order; null counts as left out."""
    for name, value in schema.items():
        wanted = _TYPES.get(name)
        if value is not None and wanted is not None:
            yield from _wrong(value, _STRUCT, (*names, name), wanted)


def zeroed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as Go keeps it, once its types are right: null is left out, or the zero value of its type."""
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        wanted = _TYPES.get(name, "JSON")
        if wanted == f"{_STRUCT}OrArray" and not isinstance(value, dict | list):
            continue
        if value is not None or name == "default":
            kept[name] = _zeroed(value, wanted)
    return kept


def _zeroed(value: Any, wanted: str) -> Any:
    if _STRUCT in wanted and isinstance(value, list):
        return [zeroed(item or {}) for item in value]
    if wanted.startswith("map[") and isinstance(value, dict):
        return {name: zeroed(item or {}) for name, item in value.items()}
    if _STRUCT in wanted and isinstance(value, dict):
        return zeroed(value)
    if wanted == f"{_RULE}s":
        return [{name: one for name, one in (rule or {}).items() if one is not None} for rule in value]
    return ["" if item is None else item for item in value] if wanted == "[]string" else value


def _wrong(value: Any, owner: str, names: tuple[str, ...], wanted: str) -> Iterator[Wrong]:
    if value is None:
        return
    if wanted == _STRUCT and isinstance(value, dict):
        yield from wrong_types(value, names)
    elif wanted == f"{_RULE}s" and isinstance(value, list):
        for rule in value:
            yield from _wrong(rule, owner, names, _RULE)
    elif wanted == _RULE and isinstance(value, dict):
        for name, given in value.items():
            if name in _RULE_TYPES:
                yield from _wrong(given, _RULE, (*names, name), _RULE_TYPES[name])
    elif wanted == f"{_STRUCT}OrArray" and not isinstance(value, dict | list):
        return  # its decoder takes anything else for nothing
    elif wanted.startswith("[]") and isinstance(value, list):
        for item in value:
            yield from _wrong(item, owner, names, wanted[2:])
    elif wanted.startswith("map[") and isinstance(value, dict):
        for item in value.values():
            yield from _wrong(item, owner, names, _STRUCT)
    elif wanted == f"{_STRUCT}OrArray" and isinstance(value, list):
        for item in value:
            yield from _wrong(item, owner, names, _STRUCT)
    elif wanted.startswith(f"{_STRUCT}Or") and isinstance(value, dict):
        yield from wrong_types(value, names)
    elif not _is(value, wanted):
        yield value, owner, names, _go(wanted)


def _go(wanted: str) -> str:
    """The type as Go writes it: those of the package with its name."""
    head, _, name = wanted.rpartition("]")
    brackets = head + "]" if head else ""
    return f"{brackets}v1.{name}" if name[:1].isupper() and name != BOOL_OR_SCHEMA else wanted


def _is(value: Any, wanted: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted:
        case "string":
            return isinstance(value, str)
        case "bool" | "JSONSchemaPropsOrBool":  # a schema was looked at above
            return isinstance(value, bool)
        case "float64":
            return number
        case "int64":
            return number and isinstance(value, int) and -(2**63) <= value < 2**63
        case "ExternalDocumentation":
            return isinstance(value, dict)
    return wanted == "JSON"
