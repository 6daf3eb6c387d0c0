"""The structural schemas of CustomResourceDefinitions: pruning, defaults, and the checks of OpenAPI v3.

Sources: k8s.io/apiextensions-apiserver (pruning, defaulting, listtype), the go-openapi validators it uses (which give
the words), and what Kubernetes 1.34 answers. A schema is the plain dict of ``openAPIV3Schema``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError, go_value
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import patterns

Schema = dict[str, Any]

_METADATA = frozenset({"apiVersion", "kind", "metadata"})
_INT_OR_STRING = ("integer", "string")
_DURATION = re.compile(
    r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w))*|0"
)
_FORMATS = {
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "duration": _DURATION,
    "ipv4": re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}"),
    "uuid": re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"),
    "byte": re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
}


def schema_of(resource: Resource) -> Schema:
    """The schema of the resource's version; a CRD without one keeps every field."""
    assert resource.crd is not None
    for version in resource.crd["spec"]["versions"]:
        if version["name"] == resource.version:
            schema: Schema | None = (version.get("schema") or {}).get("openAPIV3Schema")
            if schema is not None:
                return schema
    return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def type_of(value: Any) -> str:
    """The JSON type, as the messages name it."""
    if isinstance(value, bool):
        return "boolean"
    kinds = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


# --- pruning ---------------------------------------------------------------------------------------------------------


def prune(schema: Schema, obj: Object) -> tuple[Object, list[str]]:
    """(`obj` without the fields that `schema` does not declare, their paths sorted). Metadata is left alone."""
    unknown: list[str] = []
    kept = _prune_object(schema, obj, "", unknown, keep=_METADATA)
    return kept, sorted(unknown)


def _prune(schema: Schema, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict):
        keep = _METADATA if schema.get("x-kubernetes-embedded-resource") else frozenset()
        return _prune_object(schema, value, path, unknown, keep=keep)
    if isinstance(value, list):
        items = schema.get("items")
        if items is None:
            return value if _keeps_unknown(schema) else [_prune({}, item, path, unknown) for item in value]
        return [_prune(items, item, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value


def _keeps_unknown(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _prune_object(
    schema: Schema, value: Object, path: str, unknown: list[str], *, keep: frozenset[str] = frozenset()
) -> Object:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    result: Object = {}
    for name, item in value.items():
        below = f"{path}.{name}" if path else name
        if name in keep:
            result[name] = item
        elif name in properties:
            result[name] = _prune(properties[name], item, below, unknown)
        elif isinstance(additional, dict):
            result[name] = _prune(additional, item, below, unknown)
        elif additional or _keeps_unknown(schema):
            result[name] = item
        else:
            unknown.append(below)
    return result


# --- defaults --------------------------------------------------------------------------------------------------------


def apply_schema_defaults(schema: Schema, obj: Object) -> Object:
    """A copy of `obj` with the schema's defaults, without nulls where null is not allowed."""
    result: Object = _default(schema, copy.deepcopy(obj))
    return result


def _default(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict):
        _default_properties(schema, value)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_default(schema["items"], item) for item in value]
    return value


def _default_properties(schema: Schema, value: Object) -> None:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for name in [name for name, item in value.items() if item is None]:
        below = properties.get(name) or (additional if isinstance(additional, dict) else None)
        if name in properties and below is not None and not below.get("nullable") and below.get("type"):
            del value[name]
    for name, below in properties.items():
        if name not in value and "default" in below:
            value[name] = copy.deepcopy(below["default"])
        if name in value:
            value[name] = _default(below, value[name])
    if isinstance(additional, dict):
        for name in value.keys() - properties.keys():
            value[name] = _default(additional, value[name])


# --- checks ----------------------------------------------------------------------------------------------------------


def check(schema: Schema, obj: Object) -> list[FieldError]:
    """Every violation of `schema`, each level in the order of the real validator."""
    return list(_check_object(schema, "", {name: v for name, v in obj.items() if name != "metadata"}))


def check_list_types(schema: Schema, value: Any, path: str = "") -> Iterator[FieldError]:
    """Duplicates in lists of type set and map."""
    if isinstance(value, dict):
        for name, item in value.items():
            below = _below(schema, name)
            if below is not None:
                yield from check_list_types(below, item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield from _check_list_type(schema, value, path)
        for index, item in enumerate(value):
            yield from check_list_types(schema.get("items") or {}, item, f"{path}[{index}]")


def _below(schema: Schema, name: str) -> Schema | None:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    return properties.get(name, additional if isinstance(additional, dict) else None)


def _check_list_type(schema: Schema, value: list[Any], path: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen = set()
    for index, item in enumerate(value):
        shown = item
        if kind == "map":
            shown = {key: item[key] for key in keys if isinstance(item, dict) and key in item}
        identity = go_value(shown)
        if identity in seen:
            yield FieldError.duplicate(f"{path}[{index}]", shown)
        seen.add(identity)


def _violations(schema: Schema, path: str, value: Any) -> Iterator[FieldError]:
    if value is None and schema.get("nullable"):
        return
    yield from _check_type(schema, path, value)
    yield from _check_combinations(schema, path, value)
    check_value = _CHECKS.get(type_of(value))
    if check_value is not None:
        yield from check_value(schema, path, value)
    yield from _check_enum(schema, path, value)
    if isinstance(value, dict):
        yield from _check_object(schema, path, value)


def _allowed_types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return _INT_OR_STRING
    return (schema["type"],) if schema.get("type") else ()


def _check_type(schema: Schema, path: str, value: Any) -> Iterator[FieldError]:
    allowed = _allowed_types(schema)
    found = type_of(value)
    if not allowed or found in allowed or (found == "integer" and "number" in allowed):
        yield from _check_format(schema, path, value)
    elif not (found == "number" and "integer" in allowed and float(value).is_integer()):
        yield _wrong_type(path, ",".join(allowed), found)


def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
    body = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return FieldError(path, "FieldValueTypeInvalid", body)


def _check_format(schema: Schema, path: str, value: Any) -> Iterator[FieldError]:
    pattern = _FORMATS.get(schema.get("format", ""))
    if pattern is not None and isinstance(value, str) and not pattern.fullmatch(value):
        yield _wrong_type(path, schema["format"], value)


def _check_enum(schema: Schema, path: str, value: Any) -> Iterator[FieldError]:
    allowed = schema.get("enum")
    if allowed and not any(type_of(value) == type_of(choice) and value == choice for choice in allowed):
        yield FieldError.unsupported(path, value, [str(choice) for choice in allowed])


def _check_string(schema: Schema, path: str, value: str) -> Iterator[FieldError]:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        yield FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {longest} bytes")
    if shortest is not None and len(value) < shortest:
        yield FieldError.invalid(path, value, f"{path} in body should be at least {shortest} chars long")
    if pattern and not _fits(pattern, value):
        yield FieldError.invalid(path, value, f"{path} in body should match '{pattern}'")


def _fits(pattern: str, value: str) -> bool:
    try:
        return patterns.matches(pattern, value)
    except ValueError:
        # Refused when the CRD is written: only state from elsewhere holds such a pattern, which nothing matches.
        return False


def _check_number(schema: Schema, path: str, value: float) -> Iterator[FieldError]:
    factor = schema.get("multipleOf")
    if factor and not (value / factor).is_integer():
        yield FieldError.invalid(path, value, f"{path} in body should be a multiple of {factor}")
    most, least = schema.get("maximum"), schema.get("minimum")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield FieldError.invalid(path, value, f"{path} in body should be {words} {_number(most)}")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield FieldError.invalid(path, value, f"{path} in body should be {words} {_number(least)}")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _check_array(schema: Schema, path: str, value: list[Any]) -> Iterator[FieldError]:
    for index, item in enumerate(value):
        yield from _violations(schema.get("items") or {}, f"{path}[{index}]", item)
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if fewest is not None and len(value) < fewest:
        yield FieldError.invalid(path, len(value), f"{path} in body should have at least {fewest} items")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)


def _too_many(path: str, found: int, most: int) -> FieldError:
    return FieldError(path, "FieldValueTooMany", f"Too many: {found}: must have at most {most} items")


def _check_object(schema: Schema, path: str, value: Object) -> Iterator[FieldError]:
    fewest, most = schema.get("minProperties"), schema.get("maxProperties")
    if fewest is not None and len(value) < fewest:
        yield FieldError.invalid(path, len(value), f"{path} in body should have at least {fewest} properties")
    if most is not None and len(value) > most:
        yield _too_many(path, len(value), most)
    for name, item in value.items():
        below = _below(schema, name)
        if below is not None:
            yield from _violations(below, f"{path}.{name}" if path else name, item)
    for name in schema.get("required") or ():
        if name not in value:
            yield FieldError.required(f"{path}.{name}" if path else name)


_CHECKS: dict[str, Callable[[Schema, str, Any], Iterator[FieldError]]] = {
    "string": _check_string,
    "integer": _check_number,
    "number": _check_number,
    "array": _check_array,
}


def _check_combinations(schema: Schema, path: str, value: Any) -> Iterator[FieldError]:
    if schema.get("anyOf"):
        failures = [list(_violations(option, path, value)) for option in schema["anyOf"]]
        if all(failures):
            yield _combination(path, "must validate at least one schema (anyOf)")
            yield from failures[0]
    if schema.get("oneOf"):
        failures = [list(_violations(option, path, value)) for option in schema["oneOf"]]
        valid = sum(not failure for failure in failures)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _combination(path, f"must validate one and only one schema (oneOf). {found}")
            yield from failures[0] if not valid else ()
    for option in schema.get("allOf") or ():
        yield from _violations(option, path, value)
    if "not" in schema and not any(_violations(schema["not"], path, value)):
        yield _combination(path, "must not validate the schema (not)")


def _combination(path: str, words: str) -> FieldError:
    """These causes name no field: the path is only in the words."""
    return FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": "{path}" {words}')
