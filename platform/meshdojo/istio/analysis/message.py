"""What analysis found: a code and level of Istio's list, the object, and the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["Error", "Warning", "Info"]
LEVELS: tuple[Level, ...] = ("Error", "Warning", "Info")
DOCUMENTATION = "https://istio.io/v1.31/docs/reference/config/analysis"


@dataclass(frozen=True)
class Origin:
    """The object that a message is about; `reference` is the file and line it was read from, if it was."""

    kind: str
    name: str
    namespace: str = ""
    reference: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


@dataclass(frozen=True)
class Message:
    """One finding."""

    code: str
    level: Level
    origin: Origin
    text: str

    def __str__(self) -> str:
        reference = f" {self.origin.reference}" if self.origin.reference else ""
        return f"{self.level} [{self.code}] ({self.origin}{reference}) {self.text}"

    @property
    def order(self) -> tuple[int, str, str, str]:
        """By level, code, object and the whole line, as istioctl sorts."""
        origin = self.origin
        return LEVELS.index(self.level), self.code, f"{origin.kind}/{origin.name}.{origin.namespace}", str(self)

    def document(self) -> dict[str, Any]:
        """For ``-o json`` and ``-o yaml``."""
        found = {
            "code": self.code,
            "documentationUrl": f"{DOCUMENTATION}/{self.code.lower()}/?ref=istioctl-analyze",
            "level": self.level,
            "message": self.text,
            "origin": str(self.origin),
        }
        return found | ({"reference": self.origin.reference} if self.origin.reference else {})
