"""Every lab, proven: failed, solved, solved otherwise, solved wrongly, reset. On the embedded mesh, and on kind.

The labs that are asked for are proven in one campaign for each backend: on the embedded one twice, in two orders that
follow from a number which is printed; on kind, with the real Istio, once.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from meshdojo.backends.base import Backend
from meshdojo.course.course import load_course
from meshdojo.validation.campaign import COURSE, Campaign, Plan
from meshdojo.validation.report import Report, Step, junit

ARTIFACTS = Path(os.environ.get("MESHDOJO_ARTIFACTS", "artifacts"))
PLANS = {"embedded": Plan(passes=2, seed=int(os.environ.get("MESHDOJO_SEED", "7"))), "kind": Plan()}
LABS = [lab.id for lab in load_course().labs]


@pytest.fixture(scope="session")
def reports(backend: Backend, request: pytest.FixtureRequest) -> dict[str, Report]:
    """One report for each lab that this run asks for, and one for all of them together."""
    asked = {
        item.callspec.params["lab"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "lab" in item.callspec.params
    }
    labs = [lab for lab in load_course().labs if lab.id in asked]
    orders = PLANS[backend.name].orders(labs)
    for order in orders:
        print(f"{backend.name}, {PLANS[backend.name]}:", *(lab.id for lab in order))
    campaign = Campaign(backend, ARTIFACTS, on_step=_told)
    found = asyncio.run(campaign.run(orders))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / f"labs-{backend.name}.xml").write_text(junit(found))
    return campaign.reports


def _told(report: Report, step: Step) -> None:
    if not step.passed or step.phase in ("reset", "removal"):
        print(f"{report.lab}: {step.phase}: {step.name}: {step.problem or 'ok'} ({report.seconds:.1f} s so far)")


@pytest.mark.parametrize("lab", [*LABS, COURSE])
def test_the_lab_is_proven(lab: str, reports: dict[str, Report]) -> None:
    report = reports[lab]
    assert not report.failures, "\n".join(f"{step.phase} {step.name}: {step.problem}" for step in report.failures)
    assert report.proven
