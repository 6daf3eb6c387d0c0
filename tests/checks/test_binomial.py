import math
import random
from fractions import Fraction
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdojo.checks.binomial import FALSE_FAIL, MISS, design, log_pmf, probability


def exact(counts: Any, requests: Any, share: Any) -> Any:
    """P(X in counts) in rational numbers."""
    share = Fraction(str(share))
    return float(sum(comb(requests, k) * share**k * (1 - share) ** (requests - k) for k in counts))


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.99, 1.0]))
@settings(deadline=None, max_examples=60)
def test_probabilities_are_those_of_exact_arithmetic(requests: Any, count: Any, share: Any) -> None:
    count = min(count, requests)
    assert math.exp(log_pmf(count, requests, share)) == pytest.approx(exact([count], requests, share), rel=1e-9)
    assert probability(range(count + 1), requests, share) == pytest.approx(
        exact(range(count + 1), requests, share), rel=1e-9
    )


@pytest.mark.parametrize(
    ("right", "below", "above"), [(0.1, 0.05, 0.2), (0.5, 0.4, 0.6), (1, 0.99, None), (0, None, 0.01), (0.2, None, 0.5)]
)
def test_both_rates_hold_in_exact_arithmetic(right: Any, below: Any, above: Any) -> None:
    found = design(right, below, above)
    accepted = range(found.low, found.high + 1)
    assert 1 - exact(accepted, found.requests, right) <= FALSE_FAIL
    for wrong in (below, above):
        if wrong is not None:
            assert exact(accepted, found.requests, wrong) <= MISS


def test_the_sample_is_no_larger_than_it_must_be() -> None:
    assert design(1, 0.99).requests == math.ceil(math.log(MISS) / math.log(0.99)) == 688
    assert design(0, None, 0.01).requests == 688
    assert design(0.1, 0.05, 0.2).requests < 1850


def test_what_must_be_all_or_none_never_fails_by_chance() -> None:
    assert design(1, 0.95).false_fail == 0
    assert design(0, None, 0.05).false_fail == 0


def test_stricter_rates_need_more_requests() -> None:
    loose = design(0.1, 0.05, 0.2, false_fail=1e-3, miss=1e-2)
    assert loose.requests < design(0.1, 0.05, 0.2).requests


def test_accepts_is_inclusive() -> None:
    found = design(0.1, 0.05, 0.2)
    assert found.accepts(found.low)
    assert found.accepts(found.high)
    assert not found.accepts(found.low - 1)
    assert not found.accepts(found.high + 1)


def test_drawing_from_a_right_and_a_wrong_mesh() -> None:
    found, chance = design(0.1, 0.05, 0.2), random.Random(1)

    def draw(share: Any) -> Any:
        return sum(chance.random() < share for _ in range(found.requests))

    assert all(found.accepts(draw(0.1)) for _ in range(50))
    assert not any(found.accepts(draw(share)) for share in (0.05, 0.2) for _ in range(25))


@pytest.mark.parametrize(
    ("right", "below", "above"),
    [(0.1, 0.2, 0.3), (0.1, 0.1, None), (0.1, None, None), (0.5, -0.1, 0.9), (0.5, 0.4, 1.1)],
)
def test_shares_that_make_no_sense_are_refused(right: Any, below: Any, above: Any) -> None:
    with pytest.raises(ValueError, match="expected shares from 0 to 1 in rising order"):
        design(right, below, above)


def test_shares_that_are_too_close_are_refused() -> None:
    with pytest.raises(ValueError, match="too close together"):
        design(0.5, 0.4999, 0.5001)
