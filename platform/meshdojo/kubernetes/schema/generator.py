"""Derives the types of the built-in kinds from the models of the installed ``kubernetes`` client.

Only the models' source is read: importing the client takes about a second. A model is one class, a subclass of
pydantic's BaseModel, with an annotated assignment for each field (``Field(description=...)``, no default when the
field is required) and the dicts `openapi_types` and `attribute_map` (its JSON names).

A *type expression* is ``string``, ``bool``, ``int32``, ``int64``, ``float64``, ``bytes``, ``time``, ``microtime``,
``quantity``, ``intorstring``, ``any`` (JSON kept as it is), ``@Model``, ``[]T`` (list) or ``{}T`` (map).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from meshdojo.kubernetes.schema import facts

_SCALARS = {"str": "string", "bool": "bool", "float": "float64", "datetime": "time", "bytes": "bytes", "object": "any"}
_MODEL = re.compile(r"^class (\w+)\(BaseModel\):\n(.*?)^    __properties", re.MULTILINE | re.DOTALL)
_INT_OR_STRING = re.compile(r"StrictInt \| StrictStr")
# Recursion stops here: a JSON schema is checked by the code for CRDs, whose words are its own.
_OPAQUE = {"V1JSONSchemaProps"}


class GeneratorError(Exception):
    """The installed client's models do not look as described above."""


def generate(package: Path, roots: Iterable[str]) -> dict[str, Any]:
    """The model classes named in `roots` and all that they refer to, as JSON. `package` is the client's folder.

    ``{model: {"d": description, "f": {json name: [type expression, description]}, "r": [required json names]}}``.
    Raises GeneratorError when a model is missing or has an unknown shape.
    """
    files = _model_files(package)
    types: dict[str, Any] = {}
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in types:
            types[name] = _read_model(name, files)
            todo.extend(_references(types[name]))
    return types


def _model_files(package: Path) -> dict[str, Path]:
    """Model class name in lower case -> its file (v1_container_port.py -> v1containerport)."""
    return {path.stem.replace("_", ""): path for path in (package / "client" / "models").glob("*.py")}


def _references(model: dict[str, Any]) -> Iterator[str]:
    for expression, _ in model["f"].values():
        yield from re.findall(r"@(\w+)", expression)


def _read_model(name: str, files: dict[str, Path]) -> dict[str, Any]:
    path = files.get(name.lower())
    if path is None:
        raise GeneratorError(f"the installed kubernetes client has no model {name}; run: make install")
    found = _MODEL.search(path.read_text(encoding="utf-8"))
    if found is None or found[1] != name:
        raise GeneratorError(
            f"{path}: expected 'class {name}(BaseModel)' as kubernetes 37 writes it; run: make install"
        )
    return _model(name, ast.parse(f"class {name}:\n{found[2]}").body[0])


def _model(name: str, tree: ast.stmt) -> dict[str, Any]:
    assert isinstance(tree, ast.ClassDef)
    assignments = {
        node.target.id: node
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    types = ast.literal_eval(_value(assignments.pop("openapi_types")))
    names = ast.literal_eval(_value(assignments.pop("attribute_map")))
    # A field whose attribute is a keyword of Python is spelled var_x in the annotations, _x or x in the dicts.
    by_attribute = {attribute.removeprefix("var_"): node for attribute, node in assignments.items()}
    model: dict[str, Any] = {"d": _description(tree), "f": {}, "r": []}
    for attribute, written in types.items():
        node = by_attribute[attribute.removeprefix("_")]
        json_name = names[attribute]
        model["f"][json_name] = [_expression(name, json_name, written, ast.unparse(node.annotation)), _text(node)]
        if _required(node):
            model["r"].append(json_name)
    return model


def _value(node: ast.AnnAssign) -> ast.expr:
    assert node.value is not None
    return node.value


def _description(tree: ast.ClassDef) -> str:
    """The class docstring without the generator's note on its attributes."""
    return (ast.get_docstring(tree) or "").partition("\nAttributes:")[0].strip()


def _keywords(node: ast.AnnAssign) -> dict[str | None, ast.expr]:
    return {k.arg: k.value for k in node.value.keywords} if isinstance(node.value, ast.Call) else {}


def _text(node: ast.AnnAssign) -> str:
    description = _keywords(node).get("description")
    return str(ast.literal_eval(description)) if description is not None else ""


def _required(node: ast.AnnAssign) -> bool:
    if isinstance(node.value, ast.Call):
        return "default" not in _keywords(node)
    return node.value is None


def _expression(model: str, field: str, written: str, annotation: str) -> str:
    if match := re.fullmatch(r"List\[(.*)\]", written):
        return "[]" + _expression(model, field, match[1], annotation)
    if match := re.fullmatch(r"Dict\[str, (.*)\]", written):
        return "{}" + _expression(model, field, match[1], annotation)
    if written in _OPAQUE:
        return "any"
    if written == "int":
        return "int64" if field in facts.INT64 else "int32"
    if written == "object" and _INT_OR_STRING.search(annotation):
        return "intorstring"
    if written == "str" and field in facts.QUANTITIES.get(model, ()):
        return "quantity"
    if written == "datetime" and field in facts.MICRO_TIMES:
        return "microtime"
    return _SCALARS.get(written) or f"@{written}"
