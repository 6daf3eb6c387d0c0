"""Where somebody is in a lab, and whether they are stuck there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meshdojo.web.members import MemberFacts
from meshdojo.web.progress import OutcomeName, Standing, Verdict
from meshdojo.web.roster import ONLINE, STUCK, Column, Row, make_row

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
COLUMNS = [
    Column("canary", "Canary", "dark", 1, "Bring it in dark"),
    Column("canary", "Canary", "tenth", 2, "A tenth"),
    Column("mtls", "mTLS", "strict", 1, "Only TLS"),
]


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def standing(outcome: OutcomeName, *, passed: float | None = None, failing: float | None = None) -> Standing:
    verdict = Verdict(outcome, f"{outcome}ed")
    return Standing(verdict, NOW, None if passed is None else ago(passed), None if failing is None else ago(failing), 3)


def row(standings: dict[str, Standing], *, lab: str = "canary", joined: float = 120, seen: float = 0) -> Row:
    member = MemberFacts(1, 1, 2, "Ann", ago(joined), ago(seen), False, lab, "ready", "", "")
    keys = {column.task: column.key for column in COLUMNS}
    return make_row(member, COLUMNS, {keys[task]: one for task, one in standings.items()}, {}, [], NOW)


def test_a_task_far_ahead_says_nothing() -> None:
    found = row({"dark": standing("fail", failing=5), "tenth": standing("fail", failing=60)})
    assert found.current is not None
    assert (found.current.column.task, found.place, found.since) == ("dark", "working", ago(5))
    assert found.reason == "failed"


def test_who_fails_for_long_is_stuck() -> None:
    long = STUCK / timedelta(minutes=1)
    assert row({"dark": standing("fail", failing=long)}).place == "stuck"
    assert row({"dark": standing("fail", failing=long - 1)}).place == "working"


def test_time_counts_from_when_they_came_to_the_task() -> None:
    # It has 'failed' for an hour, but until two minutes ago they were busy with the one before it.
    found = row({"dark": standing("pass", passed=2), "tenth": standing("fail", failing=60)})
    assert (found.place, found.since) == ("working", ago(2))
    assert row({"dark": standing("fail", failing=60)}, joined=3).since == ago(3)


def test_nobody_is_stuck_who_is_away_or_whose_environment_broke() -> None:
    away = ONLINE / timedelta(minutes=1) + 1
    assert row({"dark": standing("fail", failing=60)}, seen=away).place == "away"
    assert row({"dark": standing("error", failing=60)}).place == "broken"


def test_the_lab_that_is_open_counts() -> None:
    found = row({"dark": standing("fail", failing=60), "strict": standing("fail", failing=1)}, lab="mtls")
    assert found.current is not None
    assert (found.current.column.task, found.place) == ("strict", "working")


def test_what_passed_once_stays_passed_and_says_whether_it_is_true_now() -> None:
    found = row({"dark": standing("fail", passed=30, failing=5), "tenth": standing("error", passed=3, failing=1)})
    assert [cell.state for cell in found.cells] == ["lapsed", "passed", "idle"]
    assert found.passed == 2


def test_who_has_passed_all_is_done() -> None:
    everything = {column.task: standing("pass", passed=5) for column in COLUMNS}
    found = row(everything)
    assert (found.place, found.current, found.since, found.reason) == ("done", None, None, "")
