"""Who answers: the service, its version and its pod."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from fleet.arrivals import received


@dataclass(frozen=True)
class Identity:
    """What every answer carries. `version` is the environment's VERSION, `pod` its HOSTNAME (the pod's name)."""

    service: str
    version: str
    pod: str

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str] = os.environ) -> Identity:
        return cls(
            service,
            environment.get("VERSION") or "original",
            environment.get("HOSTNAME") or socket.gethostname(),
        )

    def answer(self, **data: object) -> dict[str, object]:
        """The JSON body of an answer: the identity, the ``x-fleet-`` headers that came (if any), then `data`."""
        came = received()
        return {**asdict(self), **({"received": came} if came else {}), **data}
