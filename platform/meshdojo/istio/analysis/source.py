"""Manifests as they stand in files: where each field is, so that a message can name its line.

A file is cut at its ``---`` lines and each part is read for itself, as istioctl does: a part that cannot be read is
named, and the others are analyzed all the same. Lines and words were measured with istioctl 1.31.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

JSON = dict[str, Any]
Path = tuple[str | int, ...]
# libyaml's words are those of Go's YAML, which was made from it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EMPTY = re.compile(r"\s*(?:---[^\n]*\n\s*)?")
_CUT = re.compile(r"\n---[^\n]*(?:\n|$)")


@dataclass(frozen=True)
class Place:
    """Where a manifest was read. `lines` has the line of each field by its path; line 0 is not known."""

    file: str
    line: int = 0
    lines: Mapping[Path, int] = field(default_factory=dict, compare=False)

    def reference(self, path: Path) -> str:
        """``FILE:LINE`` of a field, of the manifest itself where there is no such field; ``FILE`` without lines."""
        line = self.lines.get(path, self.line) if path else self.line
        return f"{self.file}:{line}" if line else self.file


class Unreadable(Exception):
    """A part of a file is no manifest. `str()` says why, in istioctl's words."""


def parts(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a file, each with the number of its first line, from 1."""
    start = 0
    for cut in _CUT.finditer(text):
        yield 1 + text.count("\n", 0, start), text[start : cut.start()]
        start = cut.end()
    yield 1 + text.count("\n", 0, start), text[start:]


def manifests(file: str, text: str, first: int) -> list[tuple[Place, JSON]]:
    """The manifests of one part of a file whose first line is `first`: none, one, or the items of a list.

    Raises `Unreadable`.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        # JSON has no lines for istioctl. Of YAML they are taken first: making an object moves merged keys in the node.
        lines = {} if file.endswith(".json") or node is None else dict(_lines(node, (), first))
        document = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        raise Unreadable(f"failed converting YAML to JSON: yaml: {_words(error)}") from None
    finally:
        loader.dispose()
    if document is None:
        return []
    begin = 0 if file.endswith(".json") else first + _EMPTY.match(text)[0].count("\n")  # type: ignore[index]
    return list(_items(document, Place(file, begin, lines)))


def _items(document: Any, place: Place) -> Iterator[tuple[Place, JSON]]:
    if not isinstance(document, dict):
        raise Unreadable("failed interpreting jsonChunk: couldn't get version/kind; it is no object")
    if not document.get("kind") or not document.get("apiVersion"):
        raise Unreadable("unable to parse resource with no group, version and kind")
    if not (str(document["kind"]).endswith("List") and isinstance(document.get("items"), list)):
        yield place, document
        return
    for index, item in enumerate(document["items"]):
        before: Path = ("items", index)
        inside = {path[2:]: line for path, line in place.lines.items() if path[:2] == before}
        yield from _items(item, Place(place.file, inside.get((), 0), inside))


def _lines(node: yaml.Node, path: Path, first: int) -> Iterator[tuple[Path, int]]:
    yield path, first + node.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*path, str(key.value)), first)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*path, index), first)


def _words(error: yaml.YAMLError) -> str:
    """As Go's YAML says it: the line of the context, else of the problem; errors of the scanner count from 1."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    lines = (mark.line for mark in (error.context_mark, error.problem_mark) if mark is not None)
    line = next((one for one in lines if one), 0)
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"line {line}: {error.problem}" if line else str(error.problem)
