"""Manifests that are read from files or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from meshdojo.istio.istioctl.command import CommandError

JSON = dict[str, Any]
SUFFIXES = (".yaml", ".yml", ".json")


def text(name: str) -> str:
    """What is in a file (``-``: standard input). Raises CommandError."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise CommandError(f"open {name}: {reason}") from None


def documents(name: str) -> list[JSON]:
    """The objects in a file (``-``: standard input), with the items of lists among them. Raises CommandError."""
    try:
        loaded = [one for one in yaml.safe_load_all(text(name)) if one is not None]
    except yaml.YAMLError as error:
        raise CommandError(f"{name}: {error}") from None
    return [item for one in loaded for item in _items(one, name)]


def _items(document: Any, name: str) -> Iterator[JSON]:
    if not isinstance(document, dict) or "kind" not in document or "apiVersion" not in document:
        raise CommandError(f"{name}: every document needs an apiVersion and a kind")
    if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _items(item, name)
    else:
        yield document


def paths(names: Iterable[str]) -> list[str]:
    """The files that are meant: directories stand for the manifests in them and below. Raises CommandError.

    What else is in a directory is named on standard error, as the real one does.
    """
    found: list[str] = []
    for name in names:
        path = Path(name)
        if name == "-" or path.is_file():
            found.append(name)
        elif path.is_dir():
            found += _manifests(path)
        else:
            raise CommandError(f"stat {name}: no such file or directory")
    return found


def _manifests(folder: Path) -> Iterator[str]:
    for one in sorted(folder.rglob("*")):
        if one.suffix in SUFFIXES and one.is_file():
            yield str(one)
        elif one.is_file():
            print(f"Skipping file {one}, recognized file extensions are: [.json .yaml .yml]", file=sys.stderr)
