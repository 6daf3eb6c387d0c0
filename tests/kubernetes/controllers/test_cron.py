"""Cron schedules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meshdojo.kubernetes.controllers.cron import Schedule

SATURDAY = "2026-11-21T07:30:15"


@pytest.mark.parametrize(
    ("text", "after", "due"),
    [
        ("* * * * *", SATURDAY, "2026-11-21T07:31"),
        ("*/5 * * * *", SATURDAY, "2026-11-21T07:35"),
        ("30 7 * * *", SATURDAY, "2026-11-22T07:30"),
        ("31 7 * * *", SATURDAY, "2026-11-21T07:31"),
        ("0 8-10/2 * * *", SATURDAY, "2026-11-21T08:00"),
        ("0 0 * * mon-fri", SATURDAY, "2026-11-23T00:00"),
        ("0 0 * * 7", SATURDAY, "2026-11-22T00:00"),
        ("0 0 1 jan,feb *", SATURDAY, "2027-01-01T00:00"),
        ("0 0 29 2 *", SATURDAY, "2028-02-29T00:00"),
        ("0 0 1 * mon", SATURDAY, "2026-11-23T00:00"),
        ("20/15 * * * *", SATURDAY, "2026-11-21T07:35"),
        ("@hourly", SATURDAY, "2026-11-21T08:00"),
        ("@weekly", SATURDAY, "2026-11-22T00:00"),
    ],
)
def test_the_next_time(text: str, after: str, due: str) -> None:
    found = Schedule.parse(text).next(datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_a_day_that_never_comes() -> None:
    assert Schedule.parse("0 0 30 2 *").next(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * *", "expected 5 fields .* found 4"),
        ("60 * * * *", "minute is '60'; allowed are 0 to 59"),
        ("* x * * *", "hour is 'x'"),
        ("* * 5-2 * *", "day is '5-2'"),
        ("*/0 * * * *", r"minute is '\*/0'"),
        ("* * * 13 *", "month is '13'; allowed are 1 to 12"),
    ],
)
def test_what_is_no_schedule(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Schedule.parse(text)
