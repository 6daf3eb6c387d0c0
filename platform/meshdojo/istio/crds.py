"""The CustomResourceDefinitions of Istio's kinds, generated from the models.

One source: a field's type, limits, description and CEL rules in `models` become its part of the structural schema,
so that the API server refuses what the real CRDs refuse and ``kubectl explain`` says what the models say.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from meshdojo.istio.models.base import Column, Kind, Model, Rule, Schema, camel
from meshdojo.istio.models.kinds import KINDS

JSON = dict[str, Any]

LABELS = {"app": "istio-pilot", "chart": "istio", "heritage": "Tiller", "release": "istio"}
_SCALARS: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", timedelta: "string"}
_INT_OR_STRING: JSON = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}


def manifests() -> list[JSON]:
    """The CRDs of all kinds, as they are applied."""
    return [crd(kind) for kind in KINDS]


@cache
def crd(kind: type[Kind]) -> JSON:
    """The CRD of one kind. The result is shared: do not change it."""
    facts = kind.TYPE
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": facts.resource,
            "labels": {**LABELS, **dict(facts.labels)},
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": facts.group,
            "names": _names(kind),
            "scope": "Namespaced",
            "versions": [_version(kind, version) for version in facts.versions],
        },
    }


def _names(kind: type[Kind]) -> JSON:
    facts = kind.TYPE
    names: JSON = {
        "categories": ["istio-io", f"{facts.group.split('.')[0]}-istio-io"],
        "kind": facts.kind,
        "listKind": f"{facts.kind}List",
        "plural": facts.plural,
        "singular": facts.kind.lower(),
    }
    return names | ({"shortNames": list(facts.short_names)} if facts.short_names else {})


def _version(kind: type[Kind], version: str) -> JSON:
    facts = kind.TYPE
    entry: JSON = {
        "name": version,
        "served": True,
        "storage": version == facts.storage,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }
    if facts.columns:
        entry["additionalPrinterColumns"] = [_column(column) for column in facts.columns]
    return entry


def _column(column: Column) -> JSON:
    return {
        "name": column.name,
        "jsonPath": column.json_path,
        "type": column.type,
        "description": column.description,
    }


@cache
def object_schema(kind: type[Kind]) -> JSON:
    """The structural schema of a whole object (without apiVersion, kind and metadata, which the server adds)."""
    entry: JSON = {
        "type": "object",
        "properties": {"spec": _field(kind.model_fields["spec"]), "status": _status()},
    }
    return entry | ({"required": ["spec"]} if kind.TYPE.spec_required else {})


def message_schema(model: type[Model]) -> JSON:
    """The schema of a message: its fields, which are required, its oneOfs and its CEL rules."""
    properties: JSON = {}
    required = []
    for attribute, field in model.model_fields.items():
        for name in manifest_names(attribute, field):
            properties[name] = _field(field)
            if field.is_required():
                required.append(name)
    entry: JSON = {"type": "object", "properties": properties}
    if required:
        entry["required"] = required
    return entry | _one_ofs(model.ONE_OF) | _rules(model.RULES)


def manifest_names(attribute: str, field: FieldInfo) -> tuple[str, ...]:
    """The names that a field has in manifests: one, save for two fields with an old spelling."""
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in field.validation_alias.choices)
    return (camel(attribute),)


def _field(field: FieldInfo) -> JSON:
    return {"description": field.description, **_typed(field.annotation, tuple(field.metadata))}


def _typed(annotation: Any, metadata: tuple[Any, ...] = ()) -> JSON:
    """The schema of a type, with the facts that its ``Annotated`` layers carry."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _typed(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _typed(inner, metadata)
    if origin is tuple:
        return {"type": "array", "items": _typed(arguments[0])} | _keywords(metadata, "Items")
    if origin is dict:
        return _map(arguments[1]) | _keywords(metadata, "Properties")
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)} | _keywords(metadata, "Length")
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return message_schema(annotation) | _keywords(metadata, "Properties")
    return {"type": _SCALARS[annotation]} | _keywords(metadata, "Length")


def _map(value: Any) -> JSON:
    return {"type": "object"} | ({} if value is Any else {"additionalProperties": _typed(value)})


def _keywords(metadata: tuple[Any, ...], unit: str) -> JSON:
    """OpenAPI keywords of limits and of `Schema` facts; `unit` says what MinLen and MaxLen count."""
    entry: JSON = {}
    rules: list[Rule] = []
    for fact in metadata:
        match fact:
            case Ge(ge=least):
                entry["minimum"] = least
            case Le(le=most):
                entry["maximum"] = most
            case MinLen(min_length=least):
                entry[f"min{unit}"] = least
            case MaxLen(max_length=most):
                entry[f"max{unit}"] = most
            case Schema(keywords=keywords, rules=more):
                entry.update(keywords)
                rules.extend(more)
    return entry | _rules(tuple(rules))


def _rules(rules: tuple[Rule, ...]) -> JSON:
    if not rules:
        return {}
    return {"x-kubernetes-validations": [{"rule": rule.rule, "message": rule.message} for rule in rules]}


def _one_ofs(groups: tuple[tuple[str, ...], ...]) -> JSON:
    """None of a group, or exactly one."""
    entries = [_one_of([{"required": [name]} for name in group]) for group in groups]
    if len(entries) > 1:
        return {"allOf": entries}
    return entries[0] if entries else {}


def _one_of(required: list[JSON]) -> JSON:
    return {"oneOf": [{"not": {"anyOf": required}}, *required]}


def _status() -> JSON:
    """The status that Istio's controllers write (IstioStatus of meta.istio.io/v1alpha1)."""
    condition = {
        "type": _text("What the condition is about, such as Reconciled."),
        "status": _text("True, False or Unknown."),
        "lastProbeTime": _text("When it was last looked at.", format="date-time"),
        "lastTransitionTime": _text("When the status last changed.", format="date-time"),
        "reason": _text("Why, in one CamelCase word."),
        "message": _text("Why, in a sentence."),
        "observedGeneration": _INT_OR_STRING | {"description": "The generation that was looked at."},
    }
    message = {
        "type": {
            "type": "object",
            "properties": {"name": _text("Name of the message."), "code": _text("Its code, such as IST0101.")},
        },
        "level": _text("How bad it is.", enum=["UNKNOWN", "ERROR", "WARNING", "INFO"]),
        "documentationUrl": _text("Where it is explained."),
    }
    return {
        "type": "object",
        "description": "What the control plane says of the object.",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "conditions": _objects("Latest observations.", condition),
            "validationMessages": _objects("What analysis found.", message),
            "observedGeneration": _INT_OR_STRING | {"description": "The generation that was looked at."},
        },
    }


def _text(description: str, **keywords: Any) -> JSON:
    return {"type": "string", "description": description, **keywords}


def _objects(description: str, properties: JSON) -> JSON:
    return {"type": "array", "description": description, "items": {"type": "object", "properties": properties}}
