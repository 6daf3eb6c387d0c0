"""Every public function says what it does: in a docstring of its own, or one that it inherits.

A function of a lab's checks says it in its title, which learners read. Scripts of Alembic have names of Alembic's.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for root in ("platform", "checkers", "site")
    for file in (ROOT / root / "meshdojo").rglob("*.py")
    if "migrations/versions" not in file.as_posix()
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], outer: str = "") -> Iterator[tuple[str, Function]]:
    """The public functions and methods of a module, by their dotted names."""
    for node in body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield outer + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{outer}{node.name}.")


def is_check(node: Function) -> bool:
    called = [one.func for one in node.decorator_list if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Name) and one.id == "check" for one in called)


def inherited(file: Path, name: str) -> str | None:
    """The docstring that a method has from a class above its own."""
    parts = file.relative_to(ROOT).with_suffix("").parts[1:]
    found: object = importlib.import_module(".".join(parts))
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    return inspect.getdoc(found)


def test_there_is_something_to_look_at() -> None:
    assert len([name for file in SOURCES for name, _ in public(ast.parse(file.read_text()).body)]) > 2000


@pytest.mark.parametrize("file", SOURCES, ids=[file.relative_to(ROOT).as_posix() for file in SOURCES])
def test_every_public_function_says_what_it_does(file: Path) -> None:
    silent = [
        f"line {node.lineno}: {name}"
        for name, node in public(ast.parse(file.read_text()).body)
        if ast.get_docstring(node) is None and not is_check(node) and not ("." in name and inherited(file, name))
    ]
    assert silent == []
