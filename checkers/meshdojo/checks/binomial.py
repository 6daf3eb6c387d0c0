"""How many requests a judgement needs, and which counts to accept: exact binomial tests.

A route that sends 10 % of the requests somewhere decides each request by chance, so that the count among n requests is
binomially distributed. A check states the share that is right and the nearest shares that are wrong; `design` finds a
sample so large that a right mesh is refused, and a wrong one accepted, no more often than stated. Nothing is
approximated by a normal distribution, and nothing is retried: a second try would spoil both rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

FALSE_FAIL = 1e-6
MISS = 1e-3
LARGEST = 100_000


@dataclass(frozen=True)
class Design:
    """Send `requests`; accept counts from `low` to `high`, both included.

    `false_fail` is the probability that a right mesh is refused, `miss` the largest one that a wrong mesh is accepted.
    """

    requests: int
    low: int
    high: int
    false_fail: float
    miss: float

    def accepts(self, count: int) -> bool:
        """Whether so many hits of `requests` are within the acceptance region."""
        return self.low <= count <= self.high


def log_pmf(count: int, requests: int, share: float) -> float:
    """The logarithm of P(X = count) for X ~ Binomial(requests, share)."""
    if share in (0.0, 1.0):
        return 0.0 if count == requests * share else -math.inf
    ways = math.lgamma(requests + 1) - math.lgamma(count + 1) - math.lgamma(requests - count + 1)
    return ways + count * math.log(share) + (requests - count) * math.log1p(-share)


def probability(counts: Iterable[int], requests: int, share: float) -> float:
    """P(X in counts) for X ~ Binomial(requests, share)."""
    return math.fsum(math.exp(log_pmf(count, requests, share)) for count in counts)


@lru_cache(maxsize=64)
def design(
    right: float,
    below: float | None = None,
    above: float | None = None,
    false_fail: float = FALSE_FAIL,
    miss: float = MISS,
) -> Design:
    """A sample that tells the share `right` from `below` and from `above` (None: that side cannot be wrong).

    Raises ValueError for shares that are no shares, that are not in order, or that lie too close together.
    """
    _check_order(right, below, above)
    high = 1
    while not (found := _attempt(high, right, below, above, false_fail, miss)):
        high *= 2
        if high > LARGEST:
            raise ValueError(f"{below} < {right} < {above}: too close together for {LARGEST} requests")
    low = high // 2  # too few
    while high - low > 1:
        middle = (low + high) // 2
        if attempt := _attempt(middle, right, below, above, false_fail, miss):
            found, high = attempt, middle
        else:
            low = middle
    return found


def _check_order(right: float, below: float | None, above: float | None) -> None:
    shares = [share for share in (below, right, above) if share is not None]
    if any(not 0 <= share <= 1 for share in shares) or shares != sorted(set(shares)) or len(shares) < 2:
        raise ValueError(f"below {below}, right {right}, above {above}: expected shares from 0 to 1 in rising order")


def _attempt(
    requests: int, right: float, below: float | None, above: float | None, false_fail: float, miss: float
) -> Design | None:
    """The design with this number of requests, if it keeps both rates."""
    # Each side gets the whole allowance when the other side cannot be wrong, else half of it.
    tail = false_fail / 2 if below is not None and above is not None else false_fail
    low = _cut(requests, right, tail) if below is not None else 0
    high = requests - _cut(requests, 1 - right, tail) if above is not None else requests
    missed = max(probability(range(low, high + 1), requests, wrong) for wrong in (below, above) if wrong is not None)
    if missed > miss:
        return None
    refused = probability(range(low), requests, right) + probability(range(high + 1, requests + 1), requests, right)
    return Design(requests, low, high, refused, missed)


def _cut(requests: int, share: float, tail: float) -> int:
    """The largest count c with P(X < c) <= tail."""
    total = 0.0
    for count in range(requests + 1):
        total += math.exp(log_pmf(count, requests, share))
        if total > tail:
            return count
    return requests
