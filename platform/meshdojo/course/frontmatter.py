"""The YAML between `---` lines at the top of a Markdown file, read into a pydantic model; errors have file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from meshdojo.course.errors import CourseError, found

_FRONT = re.compile(r"\A---\n(.*?)^---[ \t]*\n", re.DOTALL | re.MULTILINE)
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """A Markdown file. `body` keeps blank lines in place of the front matter, so that line numbers stay true."""

    file: Path
    front: str
    body: str


def read(file: Path) -> Document:
    """Raises CourseError when the file cannot be read or has no front matter."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(file, 0, f"cannot be read: {error}") from error
    match = _FRONT.match(text)
    if not match:
        raise CourseError(file, 1, "no front matter: the file must start with ---, YAML, ---")
    return Document(file, match[1], "\n" * match[0].count("\n") + text[match.end() :])


def parse(document: Document, model: type[Model]) -> Model:
    """The front matter as `model`. Raises CourseError with the line of the entry that is wrong."""
    return parse_yaml(document.file, document.front, model, first_line=2)


def parse_yaml(file: Path, text: str, model: type[Model], first_line: int) -> Model:
    """`text` (which starts at `first_line` of `file`) as `model`. Raises CourseError with the line of the entry."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        raise CourseError(file, line, f"not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(data, dict) or not isinstance(node, yaml.MappingNode):
        raise CourseError(file, first_line, f"expected entries of the form NAME: VALUE, found {data!r}")
    lines = {key.value: first_line + key.start_mark.line for key, _ in node.value}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explained(file, error, model, lines, first_line) from error


def line_of(file: Path, entry: str) -> int:
    """The line of an entry in the front matter of `file`, which was read before (1 when it is not written there)."""
    for number, line in enumerate(read(file).front.splitlines(), 2):
        if line.partition(":")[0].rstrip() == entry:
            return number
    return 1


def _explained(
    file: Path, error: ValidationError, model: type[BaseModel], lines: dict[Any, int], first_line: int
) -> CourseError:
    # An entry that does not exist is most often a misspelt one, which then is missing too.
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    name = str(first["loc"][0]) if first["loc"] else ""
    line = lines.get(name, first_line)
    if first["type"] == "extra_forbidden":
        return CourseError(file, line, found("entry", name, model.model_fields))
    if first["type"] == "missing":
        return CourseError(file, first_line, f"entry {name!r} is missing; needed: {_required(model)}")
    return CourseError(file, line, f"entry {name!r}: found {first['input']!r}; {first['msg']}")


def _required(model: type[BaseModel]) -> str:
    return ", ".join(name for name, field in model.model_fields.items() if field.is_required())
