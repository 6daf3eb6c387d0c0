"""Rules for every test: in CI a skip is a failure, since a skip there hides that something was not proven."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from tests.backend import backend

__all__ = ["backend"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else ''}"
    return report
