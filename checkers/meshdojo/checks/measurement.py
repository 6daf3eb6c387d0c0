"""What the probe measured: the JSON of `apps/probe`, typed, with words for what went wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Place = Literal["inside", "outside"]


@dataclass(frozen=True)
class Request:
    """What the probe is to send. `place`: from a pod in the mesh, or from one without a sidecar.

    `count_by` is ``status``, ``header:NAME`` or ``json:PATH``. With `session`, so many requests in a row are those of
    one customer, who keeps cookies as a browser does. Times in seconds.
    """

    url: str
    requests: int
    place: Place = "outside"
    headers: tuple[tuple[str, str], ...] = ()
    count_by: str = "json:version"
    concurrency: int = 8
    timeout: float = 10
    deadline: float = 40
    session: int = 0

    def command(self) -> list[str]:
        """The command line of the probe."""
        options = {
            "--url": self.url,
            "--requests": self.requests,
            "--concurrency": self.concurrency,
            "--count-by": self.count_by,
            "--timeout": f"{self.timeout:g}",
            "--deadline": f"{self.deadline:g}",
        }
        if self.session:
            options["--session"] = self.session
        command = ["python", "-m", "probe", *(str(part) for option in options.items() for part in option)]
        for name, value in self.headers:
            command += ["--header", f"{name}={value}"]
        return command


# What Envoy's own answers mean (measured on the real Istio): body of the answer -> explanation.
_BODIES = {
    "no healthy upstream": "A route leads to a service or subset without a ready pod. Compare the subset's labels with "
    "the pods' labels: kubectl get pods -n fleet --show-labels",
    "RBAC: access denied": "An AuthorizationPolicy refuses the request.",
}
_STATUSES = {
    "404": "An empty 404 from the gateway means that no route matched. Is there a VirtualService for every request, "
    "bound to the Gateway?",
    "503": "A 503 with an empty body means that a route names a host or subset that does not exist. Does the "
    "DestinationRule define every subset that the VirtualService names?",
}
_ERRORS = {
    "refused": "Nothing listens at the gateway. Is there a Gateway whose selector matches the ingress gateway's pods?",
    "reset": "The connection was reset: a proxy refused it, for instance because it expects mutual TLS.",
    "timeout": "No answer came in time.",
}


@dataclass(frozen=True)
class Measurement:
    """One sample. `counts`: 2xx answers by label; `statuses`: all answers; `errors`: requests without an answer.

    `latency`: seconds from a request to its answer, as quantiles (min, p50, p90, p99, max; nothing when there was no
    answer). The slow ones tell about the machine as much as about the mesh: where it can be done, judge by the fastest.
    `sessions`: how many customers were answered by which labels (``a``, or ``a+b`` for both), for a `Request.session`.
    """

    requests: int
    counts: Counter[str]
    statuses: Counter[str]
    errors: Counter[str]
    examples: Mapping[str, str]
    seconds: float
    latency: Mapping[str, float] = field(default_factory=dict)
    sessions: Counter[str] = field(default_factory=Counter)

    @classmethod
    def parse(cls, output: bytes) -> Measurement:
        """Raises ValueError or KeyError when this is not the probe's output."""
        body = json.loads(output)
        return cls(
            body["requests"],
            Counter(body["counts"]),
            Counter(body["statuses"]),
            Counter(body["errors"]),
            body["examples"],
            body["seconds"],
            body.get("latency", {}),
            Counter(body.get("sessions", {})),
        )

    @property
    def fastest(self) -> float:
        """Seconds until the fastest answer (0 without any)."""
        return self.latency.get("min", 0.0)

    @property
    def most(self) -> float:
        """Seconds within which nine in ten answers came (0 without any)."""
        return self.latency.get("p90", 0.0)

    def trouble(self) -> str:
        """The answers that were no 2xx and the requests without an answer, such as `12 x status 503 (no healthy …)`."""
        parts = []
        for kind, count in [*self.statuses.items(), *self.errors.items()]:
            if kind.startswith("2"):
                continue
            what = f"status {kind}" if kind in self.statuses else f"connection {kind}"
            example = self.examples.get(kind, "").strip() if kind in self.statuses else ""
            parts.append(f"{count} x {what}" + (f" ({example})" if example else ""))
        return ", ".join(parts) or "nothing wrong"

    def explanation(self) -> str:
        """What most probably causes the trouble."""
        kinds = self.errors + Counter({k: n for k, n in self.statuses.items() if not k.startswith("2")})
        for kind, _count in kinds.most_common():
            body = self.examples.get(kind, "").strip()
            if text := _BODIES.get(body) or (_STATUSES.get(kind) if not body else None) or _ERRORS.get(kind):
                return text
        return "Send one such request yourself with curl -i and read the answer."
