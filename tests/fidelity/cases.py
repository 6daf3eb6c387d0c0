"""The cases as data: a topic is a file of command lines, run in order by bash in a namespace of its own.

A topic's file (``cases/TOPIC.yaml``) has the keys

* ``about``: what the topic is about;
* ``namespace``: where it runs (``fid-TOPIC``, made for it and deleted afterwards, unless it says ``fleet``);
* ``fleet``: whether the fleet must run (it does, unless this says ``false``);
* ``inject``: whether that namespace gets sidecars;
* ``files``: name -> content, in the directory where the commands run;
* ``setup``: a script that must succeed, and is not compared;
* ``cases``: name -> command line, or ``{run, until, differs}``: ``until`` is polled first until it succeeds;
  ``differs`` says why the embedded mesh answers otherwise (and the replay fails when it does not any more).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
KEYS = {"about", "namespace", "fleet", "inject", "files", "setup", "cases"}


@dataclass(frozen=True)
class Case:
    name: str
    run: str
    until: str = ""
    differs: str = ""


@dataclass(frozen=True)
class Topic:
    name: str
    about: str
    cases: tuple[Case, ...]
    namespace: str
    own: bool
    fleet: bool = True
    inject: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    setup: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a command line did: its exit code and what it wrote, masked."""

    run: str
    code: int
    out: str
    err: str


def topics() -> list[Topic]:
    """Every topic, by name. Raises ValueError for a file that is not one."""
    return [_topic(path) for path in sorted((HERE / "cases").glob("*.yaml"))]


def _topic(path: Path) -> Topic:
    data: dict[str, Any] = yaml.safe_load(path.read_text())
    if unknown := set(data) - KEYS:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}; known are {sorted(KEYS)}")
    namespace = data.get("namespace") or f"fid-{path.stem}"
    return Topic(
        name=path.stem,
        about=data["about"],
        cases=tuple(_case(name, value) for name, value in data["cases"].items()),
        namespace=namespace,
        own="namespace" not in data,
        fleet=data.get("fleet", True),
        inject=data.get("inject", False),
        files=data.get("files", {}),
        setup=data.get("setup", ""),
    )


def _case(name: str, value: str | dict[str, str]) -> Case:
    return Case(name, value) if isinstance(value, str) else Case(name, **value)


def recorded(topic: str) -> dict[str, Outcome]:
    """What the real cluster did, by case; empty for a topic that was never recorded."""
    path = _recording(topic)
    data = yaml.safe_load(path.read_text()) if path.exists() else {}
    return {name: Outcome(**value) for name, value in data.items()}


def write(topic: str, outcomes: Mapping[str, Outcome]) -> None:
    """Replaces the recording of a topic."""
    data = {name: vars(outcome) for name, outcome in outcomes.items()}
    text = yaml.dump(data, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=10_000)
    _recording(topic).write_text("# Recorded from a real cluster by tests/fidelity/record.py; never edited.\n" + text)


def _recording(topic: str) -> Path:
    return HERE / "recorded" / f"{topic}.yaml"


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)
