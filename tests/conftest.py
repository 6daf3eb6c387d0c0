"""Rules for every test: in CI a skip is a failure, since a skip there hides that something was not proven."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from tests.backend import backend

__all__ = ["backend"]


# What takes longest begins first, so that it does not run alone at the end (`make test` spreads files over the cores).
LONGEST_FIRST = ("tests/labs/test_proof.py", "tests/fidelity/", "tests/distribution/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next(
            (place for place, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path)), len(LONGEST_FIRST)
        )

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {call.excinfo.value if call.excinfo else ''}"
    return report
