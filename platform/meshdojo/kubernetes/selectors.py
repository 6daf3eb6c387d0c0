"""Label and field selectors: ``app=web,tier in (a,b),!legacy`` and ``status.phase!=Running``.

Sources: k8s.io/apimachinery/pkg/labels (grammar and words), k8s.io/apimachinery/pkg/fields, and each kind's field label
conversion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.resources import Resource

Operator = Literal["in", "notin", "=", "!=", "exists", "!", "gt", "lt"]

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(==|!=|[()=!,<>]|[^\s()=!,<>]+|$)")
_SPECIAL = frozenset(["(", ")", ",", "!", "!=", "=", "==", "<", ">", ""])
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_MAX_NAME, _MAX_PREFIX = 63, 253


@dataclass(frozen=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels satisfies it."""
        value = labels.get(self.key)
        match self.operator:
            case "in" | "=":
                return value in self.values
            case "notin" | "!=":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        (bound,) = self.values
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            return False
        return int(value) > int(bound) if self.operator == "gt" else int(value) < int(bound)


@dataclass(frozen=True)
class LabelSelector:
    """All requirements must hold; none selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, obj: Object) -> bool:
        """Whether the object's labels satisfy every requirement."""
        return self.matches_labels(obj["metadata"].get("labels") or {})

    def matches_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Parse a ``labelSelector`` query parameter. Raises StatusError 400 with the real parser's words."""
        try:
            return cls(tuple(_Parser(text).parse()))
        except ValueError as error:
            raise errors.bad_request(str(error)) from None

    @classmethod
    def from_object(cls, selector: Object | None) -> LabelSelector:
        """From a meta/v1 LabelSelector (matchLabels, matchExpressions). Empty or None selects everything."""
        selector = selector or {}
        equal = [Requirement(key, "=", frozenset([v])) for key, v in (selector.get("matchLabels") or {}).items()]
        others = [_expression(e) for e in selector.get("matchExpressions") or []]
        return cls((*equal, *others))


def _expression(expression: Object) -> Requirement:
    operators: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    operator = operators.get(expression["operator"])
    if operator is None:
        raise errors.bad_request(f"{expression['operator']!r} is not a valid label selector operator")
    return Requirement(expression["key"], operator, frozenset(expression.get("values") or ()))


class _Parser:
    """Recursive descent, token by token as in labels.Parser, so that the words of its errors come out the same."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text.rstrip()) or [""]
        if self._tokens[-1]:
            self._tokens.append("")
        self._position = 0

    def _peek(self) -> str:
        return str(self._tokens[self._position])

    def _next(self) -> str:
        word = self._peek()
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return word

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while (word := self._peek()) != "":
            if word in _SPECIAL and word != "!":
                raise ValueError(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            self._separator()
        return requirements

    def _separator(self) -> None:
        word = self._next()
        if word == ",":
            after = self._peek()
            if after in _SPECIAL and after != "!":
                raise ValueError(f"found '{after}', expected: identifier after ','")
        elif word != "":
            raise ValueError(f"found '{word}', expected: ',' or 'end of string'")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._next()
        if key in _SPECIAL:
            raise ValueError(f"found '{key}', expected: identifier")
        _check_key(key)
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        return self._comparison(key, self._next())

    def _comparison(self, key: str, operator: str) -> Requirement:
        match operator:
            case "in" | "notin":
                return _checked(Requirement(key, operator, frozenset(self._values())))
            case "=" | "==":
                return _checked(Requirement(key, "=", frozenset([self._exact()])))
            case "!=":
                return _checked(Requirement(key, "!=", frozenset([self._exact()])))
            case ">" | "<":
                return _checked(Requirement(key, "gt" if operator == ">" else "lt", frozenset([self._exact()])))
            case _:
                raise ValueError(f"found '{operator}', expected: {', '.join(_OPERATORS)}")

    def _exact(self) -> str:
        if self._peek() in ("", ","):
            return ""
        word = self._next()
        if word in _SPECIAL:
            raise ValueError(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> list[str]:
        word = self._next()
        if word != "(":
            raise ValueError(f"found '{word}' expected: '('")
        values: list[str] = []
        pending = True
        while (word := self._next()) != ")":
            if word == "" and not pending:
                raise ValueError("found '', expected: ',' or ')'")
            if word == ",":
                if pending:
                    values.append("")
                pending = True
            elif word in _SPECIAL:
                raise ValueError(f"found '{word}', expected: ',', ')' or identifier")
            elif not pending:
                raise ValueError(f"found '{word}', expected: ',' or ')'")
            else:
                values.append(word)
                pending = False
        return [*values, ""] if pending and values else values


def _checked(requirement: Requirement) -> Requirement:
    if requirement.operator in ("in", "notin") and not requirement.values:
        raise ValueError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    for value in sorted(requirement.values):
        if requirement.operator in ("gt", "lt") and not re.fullmatch(r"[+-]?[0-9]+", value):
            words = "for 'Gt', 'Lt' operators, the value must be an integer"
            raise ValueError(f'values[0]: Invalid value: "{value}": {words}')
        _check_value(requirement.key, value)
    return requirement


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    problems = []
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > _MAX_PREFIX):
        problems.append(
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
            "is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    if not name:
        problems.append("name part must be non-empty")
    if len(name) > _MAX_NAME:
        problems.append("name part must be no more than 63 characters")
    if not _NAME.fullmatch(name):
        problems.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    if problems:
        raise ValueError(f'<nil>: Invalid value: "{key}": {"; ".join(problems)}')


def _check_value(key: str, value: str) -> None:
    problems = []
    if len(value) > _MAX_NAME:
        problems.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        problems.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    if problems:
        raise ValueError(f'values[0][{key}]: Invalid value: "{value}": {"; ".join(problems)}')


@dataclass(frozen=True)
class FieldSelector:
    """Terms (getter, wanted value, equal?); all must hold."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, obj: Object) -> bool:
        """Whether the object's fields satisfy every term."""
        return all((field_value(obj, path) == value) is equal for path, value, equal in self.terms)

    def exact(self, path: str) -> str | None:
        """The value that the selector demands of this field, if it does."""
        return next((value for field, value, equal in self.terms if field == path and equal), None)

    @classmethod
    def parse(cls, text: str, resource: Resource) -> FieldSelector:
        """Parse a ``fieldSelector`` query parameter for this kind. Raises StatusError 400 with the real words."""
        terms = [_term(part) for part in _split(text) if part]
        supported = _supported(resource)
        for path, _, _ in terms:
            if path not in supported:
                raise errors.bad_request(_unsupported(resource, path))
        return cls(tuple(terms))


def field_value(obj: Object, path: str) -> str:
    """The value of a dotted field as selectors compare it: '' when absent, booleans as "true" and "false"."""
    value: Any = obj
    for part in _ALIASES.get(path, path).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_ALIASES = {"source": "source.component", "status.podIPs": "status.podIP"}


def _split(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def _term(part: str) -> tuple[str, str, bool]:
    match = re.fullmatch(r"(.*?)(!=|==|=)(.*)", part, re.DOTALL)
    if not match:
        raise errors.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
    return match[1], re.sub(r"\\([\\,=])", r"\1", match[3]), match[2] != "!="


_EVERY_KIND = ("metadata.name", "metadata.namespace")
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "jobs.batch": ("status.successful",),
    "events": (
        *(f"involvedObject.{field}" for field in _INVOLVED),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "events.events.k8s.io": (*(f"regarding.{field}" for field in _INVOLVED), "reason", "reportingController", "type"),
}


def _supported(resource: Resource) -> Sequence[str]:
    if resource.crd is not None:
        version = next(v for v in resource.crd["spec"]["versions"] if v["name"] == resource.version)
        selectable = [field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or []]
        return (*_EVERY_KIND, *selectable)
    return (*_EVERY_KIND, *_FIELDS.get(resource.name, ()))


def _unsupported(resource: Resource, path: str) -> str:
    if resource.name == "jobs.batch":
        return f'field label "{path}" not supported for Job'
    if resource.crd is not None or resource.name in _FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def predicate(resource: Resource, labels: str, fields: str) -> Callable[[Object], bool]:
    """What a list or watch with these selectors lets through. Raises StatusError 400."""
    label_selector = LabelSelector.parse(labels) if labels else LabelSelector()
    field_selector = FieldSelector.parse(fields, resource) if fields else FieldSelector()
    if not label_selector.requirements and not field_selector.terms:
        return lambda obj: True
    return lambda obj: label_selector.matches(obj) and field_selector.matches(obj)
