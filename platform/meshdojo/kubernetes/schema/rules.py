"""CEL rules of CustomResourceDefinitions (``x-kubernetes-validations``).

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
and what Kubernetes 1.34 answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema import patterns
from meshdojo.kubernetes.schema.expressions import CANCELLED, Budget, evaluate
from meshdojo.kubernetes.schema.structural import Schema, type_of

_ABSENT = object()
_NO_OVERLOAD = "no such overload"
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_REASONS = {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}
_CONVERSIONS = {
    "duration": "type conversion error from 'string' to 'google.protobuf.Duration'",
    "timestamp": "type conversion error from 'string' to 'google.protobuf.Timestamp'",
    "int": "type conversion error from 'string' to 'int'",
}


def check_rules(schema: Schema, value: Any, old: Any = _ABSENT, path: str = "") -> Iterator[FieldError]:
    """The rules of `schema` and below that `value` breaks. `old` is the stored value, when there is one.

    Rules that mention oldSelf only run where there is an old value. Elements of lists have one only in lists of type
    map (by key). All rules together have one budget; where it ends, the rest is not evaluated.
    """
    yield from _check(schema, value, old, path, Budget())


def _check(schema: Schema, value: Any, old: Any, path: str, budget: Budget) -> Iterator[FieldError]:
    for rule in schema.get("x-kubernetes-validations") or ():
        yield from _check_rule(rule, value, old, path, budget)
        if budget.broken_off or budget.exceeded:
            return
    for below, item, was, where in _children(schema, value, old, path):
        yield from _check(below, item, was, where, budget)
        if budget.broken_off or budget.exceeded:
            return


def _children(schema: Schema, value: Any, old: Any, path: str) -> Iterator[tuple[Schema, Any, Any, str]]:
    """(schema, value, old value, path) of everything directly in `value` that the schema knows."""
    if isinstance(value, dict):
        yield from _properties(schema, value, old, path)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        before = _keyed(schema, old)
        for index, item in enumerate(value):
            was = before.get(_key(schema, item), _ABSENT) if before else _ABSENT
            yield schema["items"], item, was, f"{path}[{index}]"


def has_rules(schema: Schema) -> bool:
    """Whether `schema` has a rule anywhere."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(child, dict) and has_rules(child) for child in below)


def _properties(schema: Schema, value: Object, old: Any, path: str) -> Iterator[tuple[Schema, Any, Any, str]]:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for name, item in value.items():
        below = properties.get(name, additional)
        if isinstance(below, dict):
            was = old.get(name, _ABSENT) if isinstance(old, dict) else _ABSENT
            yield below, item, was, f"{path}.{name}" if path else name


def _keyed(schema: Schema, old: Any) -> dict[Any, Any]:
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, item): item for item in old}


def _key(schema: Schema, item: Any) -> tuple[str, ...]:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return tuple(str(item.get(key)) for key in keys) if isinstance(item, dict) else ()


def _check_rule(rule: dict[str, Any], value: Any, old: Any, path: str, budget: Budget) -> Iterator[FieldError]:
    text = rule["rule"]
    variables = {"self": value}
    if re.search(r"\boldSelf\b", text):
        if old is _ABSENT:
            return
        variables["oldSelf"] = old
    try:
        holds = evaluate(text, variables, _FUNCTIONS, budget)
    except Exception as error:
        # The engine raises many kinds of exceptions; each means that the rule could not be evaluated.
        yield FieldError.invalid(path, type_of(value), _why_not(error, rule, budget))
        return
    if budget.exceeded:
        yield FieldError.invalid(path, type_of(value), _OUT_OF_BUDGET)
    elif holds is not True:
        yield _failure(rule, value, path, _message(rule, variables, budget))


def _why_not(error: Exception, rule: dict[str, Any], budget: Budget) -> str:
    """Why a rule was not evaluated. Source: apiextensions-apiserver pkg/apiserver/schema/cel/validation.go."""
    shown = str(rule.get("message") or rule["rule"]).strip()
    if budget.broken_off:
        return (
            f"'{CANCELLED}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
        )
    words = _words(error, rule["rule"])
    if words == _NO_OVERLOAD:
        signature = "call arguments did not match a supported operator, function or macro signature"
        return f"'{words}': {signature} for rule: {shown}"
    return f"{words} evaluating rule: {shown}"


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


def _message(rule: dict[str, Any], variables: dict[str, Any], budget: Budget) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            found = evaluate(expression, variables, _FUNCTIONS, budget)
        except Exception:
            # As the real server does: the static message is used when the expression fails.
            budget.broken_off = False
        else:
            # Nor is a message of no words or of several lines one.
            if isinstance(found, str) and found.strip() and "\n" not in found:
                return found.strip()
    return str(rule.get("message") or f"failed rule: {rule['rule'].strip()}")


def _words(error: Exception, text: str) -> str:
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    failed = re.search(r"Function '(\w+)' error", str(error))
    if failed and failed[1] in _CONVERSIONS:
        return _CONVERSIONS[failed[1]]
    return _NO_OVERLOAD if isinstance(error, TypeError) else str(error).splitlines()[0]


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
    # Python's own engine may try for ever to find what is not there; the other one says at once that it is not.
    found = re.search(pattern, text) if patterns.matches(pattern, text) else None
    return found[0] if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    found = re.finditer(pattern, text) if patterns.matches(pattern, text) else ()
    return [match[0] for match in found]


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
    "findAll": _find_all,
    "isSorted": lambda items: all(a <= b for a, b in pairwise(items)),
}
