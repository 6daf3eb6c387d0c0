"""Judging which share of the requests fails, where failing is what was asked for, or what was to be cured."""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.checks.binomial import Design, design
from meshdojo.checks.measurement import Measurement
from meshdojo.checks.outcome import Fail, Outcome, Pass


@dataclass(frozen=True)
class Failures:
    """The share of the requests that must end without a 2xx answer, and the nearest shares that are wrong.

    With `below` None the share may also be smaller than `right`.
    """

    right: float
    below: float | None = None
    above: float | None = None

    @property
    def design(self) -> Design:
        """How many requests to send, and how many failures to accept: `binomial.design` of the three rates."""
        return design(self.right, self.below, self.above)

    @property
    def expected(self) -> str:
        """What a learner is told to expect: counts, with the rate that they stand for."""
        plan = self.design
        counts = f"{plan.low} to {plan.high}" if plan.low else f"at most {plan.high}"
        most = "" if plan.low else "at most "
        return f"{counts} of {plan.requests} requests fail ({most}{self.right:.0%}, allowing for chance)"

    def judge(self, measured: Measurement, too_few: tuple[str, str], too_many: tuple[str, str]) -> Outcome:
        """Pass, or Fail with the reason and the hint of the side on which the share is wrong."""
        failed = measured.requests - measured.counts.total()
        saw = f"{failed} of {measured.requests} requests failed ({failed / measured.requests:.1%})"
        if self.design.accepts(failed):
            return Pass(saw)
        if failed:
            saw += f": {measured.trouble()}"
        reason, hint = too_few if failed < self.design.low else too_many
        return Fail(reason, saw, self.expected, hint)
