"""Judging which share of the requests a version answered."""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.checks.binomial import Design, design
from meshdojo.checks.measurement import Measurement
from meshdojo.checks.outcome import Fail, Outcome, Pass


@dataclass(frozen=True)
class Proportion:
    """The share of the answers that must carry `label`, and the nearest shares that are wrong.

    `right` 0 means none, 1 all; otherwise chance decides each request, as it does for the weights of a route.
    """

    label: str
    right: float
    below: float | None = None
    above: float | None = None

    @property
    def design(self) -> Design:
        """How many requests to send, and how many hits to accept: `binomial.design` of the three shares."""
        return design(self.right, self.below, self.above)

    @property
    def expected(self) -> str:
        """What a learner is told to expect: counts of answers, with the share that they stand for."""
        plan = self.design
        if plan.low == plan.high:
            return f"{plan.low} of {plan.requests} answers from {self.label}"
        return (
            f"{plan.low} to {plan.high} of {plan.requests} answers from {self.label} "
            f"({self.right:.0%}, allowing for chance)"
        )

    def judge(self, measured: Measurement, reason: str, hint: str) -> Outcome:
        """Pass, or Fail with `reason` and `hint`; a sample with requests that were not answered well is a Fail."""
        if broken := unanswered(measured):
            return broken
        count = measured.counts.get(self.label, 0)
        saw = f"{count} of {measured.requests} answers from {self.label} ({count / measured.requests:.1%})"
        if self.design.accepts(count):
            return Pass(saw)
        return Fail(reason, saw, self.expected, hint)


def unanswered(measured: Measurement) -> Fail | None:
    """The Fail for a sample in which not every request got a 2xx answer; None when each did."""
    good = measured.counts.total()
    if good == measured.requests:
        return None
    return Fail(
        f"{measured.requests - good} of {measured.requests} requests got no good answer.",
        measured.trouble(),
        f"every one of {measured.requests} requests answered with status 200",
        measured.explanation(),
    )
