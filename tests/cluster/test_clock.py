from __future__ import annotations

from meshdojo.cluster.clock import Clock


class Hands:
    """Two clocks, in seconds."""

    wall = 1_000_000.0
    steady = 50.0


def _clock() -> tuple[Hands, Clock]:
    hands = Hands()
    return hands, Clock(wall=lambda: hands.wall, steady=lambda: hands.steady)


def test_time_that_passes_is_no_jump() -> None:
    hands, clock = _clock()
    hands.wall += 3600
    hands.steady += 3600
    assert clock.jumped() == 0


def test_a_sleep_a_clock_put_back_and_one_put_forward_are_told_of_once() -> None:
    hands, clock = _clock()
    for jump in (8 * 3600.0, -7200.0, 60.0):
        hands.wall += jump + 1
        hands.steady += 1
        assert clock.jumped() == jump
        assert clock.jumped() == 0


def test_little_corrections_add_up() -> None:
    hands, clock = _clock()
    hands.wall += 3
    assert clock.jumped() == 0
    hands.wall += 3
    assert clock.jumped() == 6
