"""Rate limits: how often somebody may try.

Kept in memory, for each process by itself: several processes allow as many times as much, which is still little. A
bucket holds `burst` tries and fills with `per_minute`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MANY = 10_000


class RateLimit:
    """Buckets by key (an address, a learner)."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> float:
        """Seconds until a try is allowed; 0.0 for now. Takes nothing."""
        left, _ = self._level(key)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def take(self, key: str) -> float:
        """Take a try. Returns 0.0, or the seconds to wait when none is left."""
        left, now = self._level(key)
        if left < 1:
            return (1 - left) / self._rate
        self._buckets[key] = (left - 1, now)
        return 0.0

    def _level(self, key: str) -> tuple[float, float]:
        now = self._clock()
        if len(self._buckets) > MANY:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not self._is_full(bucket, now)}
        left, then = self._buckets.get(key, (float(self._burst), now))
        return min(self._burst, left + (now - then) * self._rate), now

    def _is_full(self, bucket: tuple[float, float], now: float) -> bool:
        return bucket[0] + (now - bucket[1]) * self._rate >= self._burst


class Limits:
    """The limits of a site. A whole class comes from one address: what counts for much are wrong codes."""

    def __init__(self) -> None:
        self.wrong_codes = RateLimit(per_minute=10, burst=10)
        self.all_wrong_codes = RateLimit(per_minute=120, burst=240)
        self.joins = RateLimit(per_minute=300, burst=1000)
        self.tokens = RateLimit(per_minute=10, burst=10)
        self.reports = RateLimit(per_minute=600, burst=300)
        self.checks = RateLimit(per_minute=30, burst=10)
