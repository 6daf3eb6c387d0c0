"""`Clock`: has the wall clock been set, or did it go on while the machine slept?

Tokens and certificates carry times of the wall clock, timers run by a steady one that stands still during a laptop's
sleep. Whoever renews things in time looks often, and renews what it has whenever the two clocks have come apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TOLERANCE_SECONDS = 5.0
"""Less is a clock being corrected little by little."""

LOOK_SECONDS = 5.0
"""How often to look: so long at most something may be out of date after a sleep or a jump."""


class Clock:
    """Two clocks side by side. `wall` gives seconds since the epoch, `steady` monotonic seconds."""

    def __init__(
        self, *, wall: Callable[[], float] | None = None, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall or time.time
        self._steady = steady
        self._apart = self._wall() - steady()

    def jumped(self) -> float:
        """Seconds by which the wall clock has moved against the steady one since the last call that told of a jump.

        Negative when it was put back; 0 for less than the tolerance.
        """
        apart = self._wall() - self._steady()
        jump = apart - self._apart
        if abs(jump) < TOLERANCE_SECONDS:
            return 0.0
        self._apart = apart
        return jump
