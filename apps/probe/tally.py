"""What came of the requests of one run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

QUANTILES = {"min": 0.0, "p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
MISSING = "(none)"
EXAMPLE_LENGTH = 200

Label = Callable[[int, Mapping[str, str], bytes], str]


def by_status(status: int, _headers: Mapping[str, str], _body: bytes) -> str:
    return str(status)


def by_header(name: str) -> Label:
    return lambda _status, headers, _body: headers.get(name.lower(), MISSING)


def by_json(path: str) -> Label:
    """The value at a dotted path of the JSON body, such as ``version`` or ``upstreams.0.service``."""
    keys = path.split(".")

    def label(_status: int, _headers: Mapping[str, str], body: bytes) -> str:
        try:
            value: Any = json.loads(body)
            for key in keys:
                value = value[int(key)] if isinstance(value, list) else value[key]
        except (ValueError, KeyError, IndexError, TypeError):
            return MISSING
        return value if isinstance(value, str) else json.dumps(value)

    return label


def label_from(text: str) -> Label:
    """The function that ``--count-by`` names: ``status``, ``header:NAME`` or ``json:PATH``. Raises ValueError."""
    kind, _, argument = text.partition(":")
    if text == "status":
        return by_status
    if kind == "header" and argument:
        return by_header(argument)
    if kind == "json" and argument:
        return by_json(argument)
    raise ValueError(f"{text!r}: allowed are status, header:NAME and json:PATH")


@dataclass
class Tally:
    """Counts as they come in.

    `counts` has the labels of the answers with a 2xx status, `statuses` those of all answers, `errors` the requests
    that got no answer, by kind. The three together account for every request. `sessions` has, for each customer whose
    requests belong together, all the labels that answered (``a`` or ``a+b``).
    """

    label: Label
    statuses: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    sessions: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes, seconds: float) -> str:
        """Count an answer; its label, or its status if that is not 2xx."""
        self.statuses[status] += 1
        self.latencies.append(seconds)
        if not 200 <= status < 300:
            self.examples.setdefault(str(status), body[:EXAMPLE_LENGTH].decode(errors="replace"))
            return str(status)
        label = self.label(status, headers, body)
        self.counts[label] += 1
        return label

    def failed(self, kind: str, detail: str) -> None:
        self.errors[kind] += 1
        self.examples.setdefault(kind, detail[:EXAMPLE_LENGTH])

    def report(self, seconds: float) -> dict[str, Any]:
        """The JSON object that the probe prints. Times are in seconds."""
        answered = self.statuses.total()
        return {
            "requests": answered + self.errors.total(),
            "answered": answered,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "counts": dict(self.counts.most_common()),
            "sessions": dict(self.sessions.most_common()),
            "errors": dict(self.errors.most_common()),
            "examples": self.examples,
            "latency": self._quantiles(),
            "seconds": round(seconds, 4),
        }

    def _quantiles(self) -> dict[str, float]:
        ordered = sorted(self.latencies)
        last = len(ordered) - 1
        return {name: round(ordered[round(q * last)], 6) for name, q in QUANTILES.items()} if ordered else {}
