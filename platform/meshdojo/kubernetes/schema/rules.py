"""CEL rules of CustomResourceDefinitions (``x-kubernetes-validations``).

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
and what Kubernetes 1.34 answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.structural import Schema, type_of

_ABSENT = object()
_REASONS = {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}
_CONVERSIONS = {
    "duration": "type conversion error from 'string' to 'google.protobuf.Duration'",
    "timestamp": "type conversion error from 'string' to 'google.protobuf.Timestamp'",
    "int": "type conversion error from 'string' to 'int'",
}


def check_rules(schema: Schema, value: Any, old: Any = _ABSENT, path: str = "") -> Iterator[FieldError]:
    """The rules of `schema` and below that `value` breaks. `old` is the stored value, when there is one.

    Rules that mention oldSelf only run where there is an old value. Elements of lists have one only in lists of type
    map (by key).
    """
    for rule in schema.get("x-kubernetes-validations") or ():
        failure = _check_rule(rule, value, old, path)
        if failure is not None:
            yield failure
    if isinstance(value, dict):
        yield from _check_properties(schema, value, old, path)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        before = _keyed(schema, old)
        for index, item in enumerate(value):
            was = before.get(_key(schema, item), _ABSENT) if before else _ABSENT
            yield from check_rules(schema["items"], item, was, f"{path}[{index}]")


def has_rules(schema: Schema) -> bool:
    """Whether `schema` has a rule anywhere."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(child, dict) and has_rules(child) for child in below)


def _check_properties(schema: Schema, value: Object, old: Any, path: str) -> Iterator[FieldError]:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for name, item in value.items():
        below = properties.get(name, additional)
        if isinstance(below, dict):
            was = old.get(name, _ABSENT) if isinstance(old, dict) else _ABSENT
            yield from check_rules(below, item, was, f"{path}.{name}" if path else name)


def _keyed(schema: Schema, old: Any) -> dict[Any, Any]:
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, item): item for item in old}


def _key(schema: Schema, item: Any) -> tuple[str, ...]:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return tuple(str(item.get(key)) for key in keys) if isinstance(item, dict) else ()


def _check_rule(rule: dict[str, Any], value: Any, old: Any, path: str) -> FieldError | None:
    text = rule["rule"]
    variables = {"self": value}
    if re.search(r"\boldSelf\b", text):
        if old is _ABSENT:
            return None
        variables["oldSelf"] = old
    try:
        holds = compile_rule(text).execute(_context(variables))
    except Exception as error:
        # The engine raises many kinds of exceptions; each means that the rule could not be evaluated.
        return _failure(rule, value, path, f"{_words(error, text)} evaluating rule: {_message(rule, variables)}")
    return None if holds is True else _failure(rule, value, path, _message(rule, variables))


def _failure(rule: dict[str, Any], value: Any, path: str, words: str) -> FieldError:
    reason = rule.get("reason") if rule.get("reason") in _REASONS else "FieldValueInvalid"
    field = path + (rule.get("fieldPath") or "")
    if reason == "FieldValueRequired":
        return FieldError.required(field, words)
    if reason == "FieldValueForbidden":
        return FieldError.forbidden(field, words)
    if reason == "FieldValueDuplicate":
        return FieldError.duplicate(field, type_of(value))
    return FieldError.invalid(field, type_of(value), words)


def _message(rule: dict[str, Any], variables: dict[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            return str(compile_rule(expression).execute(_context(variables)))
        except Exception:
            # As the real server does: the static message is used when the expression fails.
            return str(rule.get("message") or f"failed rule: {rule['rule']}")
    return str(rule.get("message") or f"failed rule: {rule['rule'].strip()}")


def _words(error: Exception, text: str) -> str:
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    failed = re.search(r"Function '(\w+)' error", str(error))
    if failed and failed[1] in _CONVERSIONS:
        return _CONVERSIONS[failed[1]]
    return "no such overload" if isinstance(error, TypeError) else str(error).splitlines()[0]


@lru_cache(maxsize=4096)
def compile_rule(text: str) -> Any:
    """The rule's program. Raises ValueError for a rule that cannot be read."""
    # The module itself: the package's __init__ is overwritten by xds-protos, which also installs a package named cel.
    from cel import cel

    return cel.compile(text)


def _context(variables: dict[str, Any]) -> Any:
    from cel import cel, stdlib

    context = cel.Context(variables=variables, functions=_FUNCTIONS)
    stdlib.add_stdlib_to_context(context)
    return context


# Kubernetes' own CEL functions: https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries


def _url(text: str) -> dict[str, Any]:
    parts = _parse_url(text)
    if parts is None:
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return {"scheme": parts.scheme, "host": parts.netloc, "hostname": parts.hostname or "", "path": parts.path}


def _is_url(text: str) -> bool:
    return _parse_url(text) is not None


def _parse_url(text: str) -> SplitResult | None:
    """Go's url.ParseRequestURI: an absolute URI or an absolute path."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    absolute = parts.scheme and (parts.netloc or parts.path)
    return parts if (absolute or text.startswith("/")) and not re.search(r"[\x00-\x20\x7f]", text) else None


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _part(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda url: url[name]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "url": _url,
    "isURL": _is_url,
    "getScheme": _part("scheme"),
    "getHost": _part("host"),
    "getHostname": _part("hostname"),
    "getEscapedPath": _part("path"),
    "find": _find,
    "findAll": lambda text, pattern: re.findall(pattern, text),
    "isSorted": lambda items: all(a <= b for a, b in pairwise(items)),
}
