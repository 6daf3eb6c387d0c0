"""What all of Istio's kinds share: parsing, names in camelCase, oneOfs, and the facts their CRDs are generated from.

A kind is a `Kind` subclass with a `TYPE` (group, names, versions, printer columns) and a `spec`; messages inside the
spec are `Model` subclasses. Attributes are snake_case, manifests camelCase. As in the proto messages that Istio
defines its API with, a scalar that is not given has its type's zero value, an enum its first one, a list or a map is
empty; a message, a wrapped scalar (nullable) and a member of a oneOf are None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

PROTO_UINT32_MAX = 4294967295


def camel(name: str) -> str:
    """The manifest's name of an attribute: ``h2_upgrade_policy`` -> ``h2UpgradePolicy``, ``from_`` -> ``from``."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part[0].upper() + part[1:] for part in rest)


@dataclass(frozen=True)
class Rule:
    """A CEL rule of a CRD schema (x-kubernetes-validations), with the message of the real one."""

    rule: str
    message: str


@dataclass(frozen=True)
class Schema:
    """Facts about a field that only its CRD schema needs: OpenAPI keywords, and CEL rules."""

    keywords: tuple[tuple[str, Any], ...] = ()
    rules: tuple[Rule, ...] = ()


def schema(*rules: Rule, **keywords: Any) -> Schema:
    """`Schema` for use in ``Annotated``; an underscore in a keyword stands for a hyphen."""
    return Schema(tuple((name.replace("_", "-"), value) for name, value in keywords.items()), rules)


class NotParsed(ValueError):
    """An object that is not of its kind; the message has one clause per mistake, each naming the field."""


class Model(BaseModel):
    """A message: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=camel, validate_by_name=True)

    ONE_OF: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of manifest names of which at most one may be given."""
    RULES: ClassVar[tuple[Rule, ...]] = ()
    """CEL rules over the whole message."""

    @model_validator(mode="before")
    @classmethod
    def _at_most_one(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for group in cls.ONE_OF:
                found = [name for name in group if given.get(name) is not None]
                if len(found) > 1:
                    raise ValueError(f"{' and '.join(found)} exclude each other: give only one of {', '.join(group)}")
        return given


_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: Any) -> Any:
    """A Go duration (``1.5s``, ``100ms``, ``1h30m``, ``-2s``, ``0``) as a timedelta; raises ValueError."""
    if not isinstance(text, str):
        return text
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return timedelta(0)
    parts = _DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f'"{text}" is no duration: write numbers with units, such as 5s, 1.5s, 100ms or 1h30m')
    return sign * timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """Seconds, as proto JSON writes a duration: ``1.5s``."""
    return f"{value.total_seconds():.9f}".rstrip("0").rstrip(".") + "s"


AnyDuration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration), schema(type="string")
]
"""A duration, also of zero."""
Duration = Annotated[
    AnyDuration,
    schema(Rule("duration(self) >= duration('1ms')", "must be a valid duration greater than 1ms")),
]
"""A duration of 1 ms or more."""
UInt32 = Annotated[int, Ge(0), Le(PROTO_UINT32_MAX)]
UInt64 = Annotated[int, Ge(0)]
Int32 = Annotated[int, schema(format="int32")]
Double = Annotated[float, schema(format="double")]
Struct = Annotated[dict[str, Any], schema(x_kubernetes_preserve_unknown_fields=True)]
"""Any object: nothing in it is checked."""

NULLABLE = schema(nullable=True)
NullableBool = Annotated[bool, NULLABLE]
NullableUInt32 = Annotated[UInt32, NULLABLE]
NullableInt32 = Annotated[Int32, NULLABLE]
Labels = dict[str, str]


class Percent(Model):
    """A percentage with fractions."""

    value: Double = Field(default=0.0, description="From 0 to 100; 0.1 is one in a thousand.")


class ObjectMeta(BaseModel):
    """The part of metadata that the mesh reads (ObjectMeta of meta/v1 has more)."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=camel, validate_by_name=True)

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    """RFC 3339 in UTC, so that text order is time order."""


ColumnType = Literal["string", "date", "integer", "boolean"]


@dataclass(frozen=True)
class Column:
    """A printer column of ``kubectl get``."""

    name: str
    json_path: str
    description: str
    type: ColumnType = "string"


AGE = Column("Age", ".metadata.creationTimestamp", "Time since the object was created.", "date")


@dataclass(frozen=True)
class KindType:
    """What a CRD says besides the schema. `versions`: all that are served; `storage` is one of them."""

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    storage: str
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    spec_required: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    """Labels of the CRD beyond those that all of Istio's CRDs have."""

    @property
    def resource(self) -> str:
        """The name that `Client` methods take, and the CRD's name."""
        return f"{self.plural}.{self.group}"


class Kind(Model):
    """An object of one of Istio's kinds. Subclasses add ``TYPE`` and ``spec``."""

    TYPE: ClassVar[KindType]

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    status: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """The object of a manifest or of the API. Raises NotParsed, its message naming every wrong field."""
        try:
            return cls.model_validate(obj, by_alias=True, by_name=False)
        except ValidationError as error:
            raise NotParsed("; ".join(_clause(detail) for detail in error.errors(include_url=False))) from None

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return self.metadata.namespace


def _clause(detail: Any) -> str:
    path = ""
    for step in detail["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    match detail["type"]:
        case "extra_forbidden":
            return f'unknown field "{path}"'
        case "missing":
            return f"{path}: Required value"
        case "value_error":
            return f"{path}: {detail['ctx']['error']}"
    return f"{path}: {detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}"
