from typing import Any

import pytest

from meshdojo.checks.failures import Failures
from meshdojo.checks.outcome import Fail, Pass

THIRD = Failures(right=0.3, below=0.05, above=0.7)
CURED = Failures(right=0.09, above=0.3)
FEW, MANY = ("too few", "more"), ("too many", "fewer")


def judged(measurement: Any, failures: Failures, share: float, body: str = "fault filter abort") -> Any:
    requests = failures.design.requests
    failed = round(requests * share)
    statuses = {"200": requests - failed, "503": failed} if failed else {"200": requests}
    return failures.judge(measurement({"200": requests - failed}, statuses, None, {"503": body}), FEW, MANY)


@pytest.mark.parametrize(
    ("failures", "share", "reason"),
    [
        (THIRD, 0.3, None),
        (THIRD, 0.0, "too few"),
        (THIRD, 0.05, "too few"),
        (THIRD, 0.7, "too many"),
        (THIRD, 1.0, "too many"),
        (CURED, 0.0, None),
        (CURED, 0.09, None),
        (CURED, 0.3, "too many"),
    ],
)
def test_the_share_of_the_failures(measurement: Any, failures: Failures, share: float, reason: Any) -> None:
    outcome = judged(measurement, failures, share)
    assert isinstance(outcome, Pass if reason is None else Fail)
    assert reason is None or (isinstance(outcome, Fail) and outcome.reason == reason)


def test_a_fail_says_what_failed_and_what_was_expected(measurement: Any) -> None:
    outcome = judged(measurement, THIRD, 1.0)
    assert outcome.saw == "131 of 131 requests failed (100.0%): 131 x status 503 (fault filter abort)"
    assert outcome.expected == "16 to 66 of 131 requests fail (30%, allowing for chance)"
    assert outcome.hint == "fewer"
    assert judged(measurement, THIRD, 0.0).saw == "0 of 131 requests failed (0.0%)"
    assert (
        judged(measurement, CURED, 0.4).expected == "at most 39 of 196 requests fail (at most 9%, allowing for chance)"
    )


def test_requests_without_an_answer_count_as_failed(measurement: Any) -> None:
    requests = THIRD.design.requests
    assert isinstance(THIRD.judge(measurement({}, {}, {"timeout": requests}), FEW, MANY), Fail)


def test_the_error_rates_are_as_stated() -> None:
    for failures in (THIRD, CURED):
        assert failures.design.false_fail <= 1e-6
        assert failures.design.miss <= 1e-3
