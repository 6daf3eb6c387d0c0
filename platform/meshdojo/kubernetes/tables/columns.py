"""The parts that a table of one kind is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object

NONE = "<none>"
UNSET = "<unset>"


@dataclass(frozen=True)
class Column:
    """A column definition. A `wide` one (priority 1) is shown by ``-o wide`` only."""

    name: str
    type: str = "string"
    wide: bool = False

    def definition(self) -> Object:
        """The TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": "",
            "priority": int(self.wide),
        }


@dataclass(frozen=True)
class Printer:
    """How objects of a kind become rows: the columns, and a function that gives the cells of one object."""

    columns: Sequence[Column]
    cells: Callable[[Object, datetime], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None


def columns(text: str, wide: str = "") -> list[Column]:
    """Columns from ``Name, Ready, Desired:integer`` and the wide ones."""
    return [*(_column(part, False) for part in _split(text)), *(_column(part, True) for part in _split(wide))]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _column(part: str, wide: bool) -> Column:
    name, _, kind = part.partition(":")
    return Column(name, kind or "string", wide)


def name_of(obj: Object) -> str:
    """``metadata.name``."""
    return str(obj["metadata"].get("name", ""))


def created(obj: Object) -> Any:
    """``metadata.creationTimestamp``."""
    return obj["metadata"].get("creationTimestamp")


def joined(values: Sequence[str], empty: str = NONE) -> str:
    """Values joined by commas; `empty` when there are none."""
    return ",".join(values) or empty


def labels_text(labels: Object | None) -> str:
    """``a=b,c=d``, sorted; ``<none>`` when empty."""
    return joined([f"{key}={value}" for key, value in sorted((labels or {}).items())])


def selector_text(selector: Object | None) -> str:
    """A label selector as metav1.FormatLabelSelector writes it."""
    if selector is None:
        return NONE
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    parts += [_requirement(requirement) for requirement in selector.get("matchExpressions") or ()]
    return joined(sorted(parts), NONE)


def _requirement(requirement: Object) -> str:
    key, operator = str(requirement["key"]), str(requirement["operator"])
    values = ",".join(sorted(requirement.get("values") or ()))
    forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
    return forms.get(operator, key)


def containers_and_images(template: Object) -> list[str]:
    """The cells Containers and Images of a pod template."""
    containers = ((template.get("spec") or {}).get("containers")) or []
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]
