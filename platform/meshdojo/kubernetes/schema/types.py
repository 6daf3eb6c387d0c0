"""The Go-like types of the built-in kinds: structs with fields, read lazily from the generated document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema import facts
from meshdojo.kubernetes.schema.cache import load, model_of


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value must be. `base` is a scalar of `generator`, "any", "struct", "list" or "map".

    `model` names a struct; `item` is the shape of a list's elements or a map's values.
    """

    base: str
    model: str = ""
    item: Shape | None = None

    @property
    def go(self) -> str:
        """The Go type, as the messages of the JSON decoder name it."""
        if self.item is not None:
            return ("[]" if self.base == "list" else "map[string]") + self.item.go
        if self.base == "struct":
            return f"{_package(self.model)}.{go_name(self.model)}"
        return _GO_TYPES.get(self.base, self.base)


_GO_TYPES = {"bytes": "[]uint8", "quantity": "resource.Quantity", "intorstring": "int32"}
_GO_TYPES |= {"time": "v1.Time", "microtime": "v1.MicroTime"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct; `pointer` says whether false, 0 and "" differ from absent."""

    name: str
    shape: Shape
    description: str
    required: bool
    pointer: bool


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct of the API: `model` is the client's class (V1ContainerPort), `name` Go's (ContainerPort)."""

    model: str
    name: str
    description: str
    fields: Mapping[str, Field]


def go_name(model: str) -> str:
    """The Go name of a client's model: V1ContainerPort, CoreV1Event -> ContainerPort, Event."""
    return re.sub(r"^(?:[A-Z][a-z]+(?=V[0-9]))?V[0-9]+(?:(?:alpha|beta)[0-9]+)?", "", model)


def _package(model: str) -> str:
    match = re.search(r"V[0-9]+(?:(?:alpha|beta)[0-9]+)?(?=[A-Z])", model)
    return match[0].lower() if match else "v1"


@cache
def struct(model: str) -> Struct:
    """The struct of a client's model class. Raises KeyError for a model that no built-in kind refers to."""
    raw = load()[model]
    required = set(raw["r"])
    fields = {
        name: Field(name, shape(expression), description, name in required, _pointer(model, name))
        for name, (expression, description) in raw["f"].items()
    }
    return Struct(model, go_name(model), raw["d"], fields)


def of_resource(resource: Resource) -> Struct | None:
    """The struct of a built-in resource's objects; None when the installed client does not know the kind."""
    return of_kind(resource.group, resource.version, resource.kind)


def of_kind(group: str, version: str, kind: str) -> Struct | None:
    """The struct of a built-in kind; None when the installed client does not know it."""
    model = model_of(group, version, kind)
    return struct(model) if model in load() else None


@cache
def shape(expression: str) -> Shape:
    """Parse a type expression of `generator`."""
    if expression.startswith("[]"):
        return Shape("list", item=shape(expression[2:]))
    if expression.startswith("{}"):
        return Shape("map", item=shape(expression[2:]))
    if expression.startswith("@"):
        return Shape("struct", model=expression[1:])
    return Shape(expression)


def _pointer(model: str, field: str) -> bool:
    if (model, field) in facts.POINTERS_OF:
        return True
    return field in facts.POINTERS and (model, field) not in facts.NOT_POINTERS
