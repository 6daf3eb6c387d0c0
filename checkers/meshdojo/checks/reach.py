"""Judging whether a place reaches a service, or is refused by its proxy.

A refusal and a broken probe look alike, so whoever judges one shows with the other that the probe gets through: the
caller pairs each `refused` with something that must answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.checks.binomial import Design, design
from meshdojo.checks.measurement import Measurement, Place, Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge

# istiod has no sidecar and no policy concerns it: whoever gets an answer here (any status) has a working network.
CONTROL_URL = "http://istiod.istio-system:15014/version"
# The alternative: one connection in four behaves otherwise, as when one pod of four has other rules. A mesh that is
# right is never refused, as nothing is left to chance in it.
CONNECTIONS = 4
_REFUSALS = ("reset", "closed")


def plan() -> Design:
    """How many requests tell "always" from "three times in four"."""
    return design(1.0, below=0.75)


@dataclass(frozen=True)
class Reach:
    """What came of the requests to one URL."""

    url: str
    measured: Measurement

    @property
    def answered(self) -> bool:
        """Whether every request got a 2xx answer."""
        return self.measured.counts.total() == self.measured.requests

    @property
    def refused(self) -> bool:
        """Whether every connection was accepted and then cut, as a proxy does that wants mutual TLS."""
        return sum(self.measured.errors[kind] for kind in _REFUSALS) == self.measured.requests

    @property
    def words(self) -> str:
        """What was seen, such as `25 of 25 answered` or `25 x connection reset`."""
        good = self.measured.counts.total()
        return f"{good} of {self.measured.requests} answered" if good else self.measured.trouble()


async def reach(mesh: Mesh, url: str, place: Place) -> Reach:
    """Requests to a URL from inside the mesh, or in plain text from outside of it. Raises CannotJudge."""
    request = Request(
        url, plan().requests, place=place, count_by="status", concurrency=CONNECTIONS, timeout=5, deadline=20
    )
    return Reach(url, await mesh.measure(request))


async def require_network(mesh: Mesh) -> None:
    """Raises CannotJudge when the probe outside the mesh reaches nothing at all: then a refusal would prove nothing."""
    measured = await mesh.measure(Request(CONTROL_URL, 1, count_by="status", timeout=5, deadline=10))
    if not measured.statuses.total():
        raise CannotJudge(
            f"the probe outside the mesh does not even reach istiod ({measured.trouble()})",
            "Look at the pods of istio-system and meshdojo-outside; 'meshdojo reset LAB' makes them anew.",
        )
