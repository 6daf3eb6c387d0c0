"""Our CRDs against the real ones, which are the yardstick (found by MESHDOJO_ISTIO_CRDS or beside the checkout)."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.istio import crds
from meshdojo.istio.models.kinds import KINDS

JSON = dict[str, Any]
BESIDE = Path(__file__).parents[3] / "shared" / "istio-crds.yaml"
PATH = Path(os.environ.get("MESHDOJO_ISTIO_CRDS") or BESIDE)
needs_real_crds = pytest.mark.skipif(
    not PATH.is_file(), reason="the real CRDs are not here: set MESHDOJO_ISTIO_CRDS to the file"
)
OURS: dict[str, JSON] = {crd["metadata"]["name"]: crd for crd in crds.manifests()}


@cache
def real() -> dict[str, JSON]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = yaml.load_all(PATH.read_text(), Loader=loader)
    return {document["metadata"]["name"]: document for document in documents if document}


def stripped(schema: Any) -> Any:
    """A schema without descriptions, with what has no order sorted."""
    if isinstance(schema, list):
        return [stripped(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    entry: JSON = {}
    for key, value in schema.items():
        if key == "properties":
            entry[key] = {name: stripped(field) for name, field in value.items()}
        elif key == "required":
            entry[key] = sorted(value)
        elif key != "description":
            entry[key] = stripped(value)
    return entry


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key in sorted({*ours, *theirs}):
            found += differences(ours.get(key, "absent"), theirs.get(key, "absent"), f"{path}.{key}")
        return found
    return [] if ours == theirs else [f"{path}: ours {ours!r}, real {theirs!r}"]


@needs_real_crds
def test_the_same_kinds() -> None:
    assert sorted(OURS) == sorted(real())


@needs_real_crds
@pytest.mark.parametrize("name", OURS)
def test_names_scope_and_labels(name: str) -> None:
    ours, theirs = OURS[name], real()[name]
    assert ours["metadata"] == theirs["metadata"]
    assert {**ours["spec"], "versions": ()} == {**theirs["spec"], "versions": ()}


@needs_real_crds
@pytest.mark.parametrize("name", OURS)
def test_versions_and_printer_columns(name: str) -> None:
    def facts(crd: JSON) -> list[JSON]:
        return [stripped({**version, "schema": None}) for version in crd["spec"]["versions"]]

    assert facts(OURS[name]) == facts(real()[name])


@needs_real_crds
@pytest.mark.parametrize("name", OURS)
def test_every_field_its_type_and_its_rules(name: str) -> None:
    for version in real()[name]["spec"]["versions"]:
        theirs = stripped(version["schema"]["openAPIV3Schema"])
        ours = stripped(crds.object_schema(kind(name)))
        assert differences(ours, theirs) == []


@needs_real_crds
def test_no_description_is_copied() -> None:
    theirs = {text for crd in real().values() for text in descriptions(crd)}
    assert descriptions(list(OURS.values())) & theirs == set()


@pytest.mark.parametrize("name", OURS)
def test_every_field_is_described(name: str) -> None:
    assert undescribed(crds.object_schema(kind(name))["properties"]["spec"], "spec") == []


def kind(name: str) -> Any:
    return next(kind for kind in KINDS if kind.TYPE.resource == name)


def descriptions(node: Any) -> set[str]:
    if isinstance(node, list):
        return {text for entry in node for text in descriptions(entry)}
    if not isinstance(node, dict):
        return set()
    own = {node["description"]} if isinstance(node.get("description"), str) else set()
    return own.union(*(descriptions(value) for value in node.values()))


def undescribed(schema: JSON, path: str) -> list[str]:
    found = [] if schema.get("description") else [path]
    for nested in (schema, schema.get("items", {}), schema.get("additionalProperties", {})):
        for name, field in nested.get("properties", {}).items():
            found += undescribed(field, f"{path}.{name}")
    return found
