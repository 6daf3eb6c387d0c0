"""The three outcomes of a check.

Pass and Fail are about the learner's work. Error is about everything else (the cluster does not answer, the probe
cannot start, a namespace of the lab is gone): it says what to do and is never counted against the learner.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pass:
    """`saw`: what was measured, in a learner's words."""

    saw: str


@dataclass(frozen=True)
class Fail:
    """`reason` is one sentence; `saw` and `expected` say the same thing of the same sample; `hint` helps on."""

    reason: str
    saw: str
    expected: str
    hint: str


@dataclass(frozen=True)
class Error:
    """The check could not judge. `reason`: what broke. `remedy`: what to do about it."""

    reason: str
    remedy: str


Outcome = Pass | Fail | Error


class CannotJudge(Exception):
    """Raised inside a check; becomes an `Error`."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.error = Error(reason, remedy)
