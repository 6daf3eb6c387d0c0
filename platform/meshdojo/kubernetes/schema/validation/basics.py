"""Checks that several kinds share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.metadata import check_labels

NOT_NEGATIVE = "must be greater than or equal to 0"
PROTOCOLS = ("SCTP", "TCP", "UDP")


def go_struct(fields: Object) -> str:
    """A struct as the real server prints it when it is the bad value: all fields, in their order."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def check_not_negative(path: str, value: Any) -> Iterator[FieldError]:
    """A number from 0; absent is right."""
    if value is not None and value < 0:
        yield FieldError.invalid(path, value, NOT_NEGATIVE)


def check_choice(path: str, value: Any, allowed: Sequence[str]) -> Iterator[FieldError]:
    """One of `allowed`."""
    if value not in allowed:
        yield FieldError.unsupported(path, value, allowed)


def check_required(path: str, value: Any, detail: str = "") -> Iterator[FieldError]:
    """Something, not nothing."""
    if not value:
        yield FieldError.required(path, detail)


def check_format(path: str, value: Any, check: Callable[[Any], list[str]]) -> Iterator[FieldError]:
    """The messages of a check of `names`."""
    for message in check(value):
        yield FieldError.invalid(path, value, message)


def check_name(path: str, value: str | None, check: Callable[[str], list[str]]) -> Iterator[FieldError]:
    """A required name in the format of `check`."""
    if not value:
        yield FieldError.required(path)
    else:
        yield from check_format(path, value, check)


def check_unique(path: str, value: str, seen: set[str]) -> Iterator[FieldError]:
    """A value that was not `seen` yet; it is from now on."""
    if value in seen:
        yield FieldError.duplicate(path, value)
    seen.add(value)


def check_port(
    path: str, value: int | str, *, name: Callable[[str], list[str]] = names.port_name
) -> Iterator[FieldError]:
    """A port number, or a port's name."""
    if isinstance(value, int):
        yield from check_format(path, value, names.port_number)
    else:
        yield from check_format(path, value, name)


def check_selector(path: str, selector: Object) -> Iterator[FieldError]:
    """A label selector (metav1.LabelSelector)."""
    yield from check_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, requirement in enumerate(selector.get("matchExpressions") or ()):
        yield from _check_requirement(f"{path}.matchExpressions[{index}]", requirement)


def _check_requirement(path: str, requirement: Object) -> Iterator[FieldError]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield FieldError.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield FieldError.forbidden(f"{path}.values", words)
    else:
        yield FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator")
    yield from check_format(f"{path}.key", requirement.get("key", ""), names.qualified_name)
    for index, value in enumerate(values):
        yield from check_format(f"{path}.values[{index}]", value, names.label_value)
