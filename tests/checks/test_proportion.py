from typing import Any

from meshdojo.checks.outcome import Fail, Pass
from meshdojo.checks.proportion import Proportion, unanswered

TENTH = Proportion("experimental", right=0.1, below=0.05, above=0.2)
ALL = Proportion("original", right=1, below=0.99)


def judge(proportion: Any, measured: Any) -> Any:
    return proportion.judge(measured, "Wrong.", "Think.")


def sample(measurement: Any, proportion: Any, count: Any) -> Any:
    other = proportion.design.requests - count
    return measurement({proportion.label: count, "other": other})


def test_inside_the_region_passes_and_outside_fails(measurement: Any) -> None:
    plan = TENTH.design
    for count in (plan.low, plan.high):
        assert isinstance(judge(TENTH, sample(measurement, TENTH, count)), Pass)
    for count in (plan.low - 1, plan.high + 1, 0, plan.requests):
        assert isinstance(judge(TENTH, sample(measurement, TENTH, count)), Fail)


def test_a_fail_says_what_was_seen_and_expected_of_the_same_sample(measurement: Any) -> None:
    outcome = judge(TENTH, sample(measurement, TENTH, 352))
    assert outcome.reason == "Wrong."
    assert outcome.hint == "Think."
    assert outcome.saw == "352 of 1759 answers from experimental (20.0%)"
    assert outcome.expected == "118 to 240 of 1759 answers from experimental (10%, allowing for chance)"


def test_all_means_all(measurement: Any) -> None:
    assert isinstance(judge(ALL, measurement({"original": 688})), Pass)
    outcome = judge(ALL, measurement({"original": 687, "experimental": 1}))
    assert outcome.expected == "688 of 688 answers from original"


def test_answers_that_are_errors_are_never_counted_as_anything_else(measurement: Any) -> None:
    measured = measurement({"original": 600}, {"200": 600, "503": 88}, examples={"503": "no healthy upstream"})
    outcome = judge(ALL, measured)
    assert isinstance(outcome, Fail)
    assert outcome.reason == "88 of 688 requests got no good answer."
    assert outcome.saw == "88 x status 503 (no healthy upstream)"
    assert "pods' labels" in outcome.hint


def test_unanswered_is_none_when_every_request_was_answered_well(measurement: Any) -> None:
    assert unanswered(measurement({"a": 3})) is None
    assert unanswered(measurement({}, {}, {"refused": 3})) is not None
