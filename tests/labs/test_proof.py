"""Every lab, proven: failed, solved, solved otherwise, solved wrongly, reset. On the embedded mesh, and on kind.

The labs that are asked for are proven in one campaign for each backend: on the embedded one twice, in two orders that
follow from a number which is printed; on kind, with the real Istio, once, shared out over several clusters: most of the
time there is spent waiting, for pods to start and for controllers to follow. `MESHDOJO_KIND_JOBS` says how many.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from tests.backend import CLUSTER, RUNNING_CLUSTER, another_kind

from meshdojo.backends.base import Backend
from meshdojo.course.course import load_course
from meshdojo.validation.campaign import COURSE, Campaign, Plan, side_by_side, slowest_first
from meshdojo.validation.report import Report, Step, junit

ARTIFACTS = Path(os.environ.get("MESHDOJO_ARTIFACTS", "artifacts"))
PLANS = {"embedded": Plan(passes=2, seed=int(os.environ.get("MESHDOJO_SEED", "7"))), "kind": Plan()}
KIND_JOBS = 1 if RUNNING_CLUSTER in os.environ else int(os.environ.get("MESHDOJO_KIND_JOBS", "3"))
LABS = [lab.id for lab in load_course().labs]


@pytest.fixture(scope="session")
def reports(
    backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Report]:
    """One report for each lab that this run asks for, and one for all of them together."""
    asked = {
        item.callspec.params["lab"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "lab" in item.callspec.params
    }
    labs = [lab for lab in load_course().labs if lab.id in asked]
    jobs = min(KIND_JOBS, len(labs)) if backend.name == "kind" else 1
    orders = PLANS[backend.name].orders(slowest_first(labs) if jobs > 1 else labs)
    for order in orders:
        print(f"{backend.name}, {PLANS[backend.name]}, {jobs} at a time:", *(lab.id for lab in order))
    home = tmp_path_factory.mktemp("clusters")
    with ExitStack() as stack:

        async def here() -> Campaign:
            return Campaign(backend, ARTIFACTS, on_step=_told)

        async def elsewhere(number: int) -> Campaign:
            cluster = another_kind(request, home, f"{CLUSTER}-{number}")
            return Campaign(await asyncio.to_thread(stack.enter_context, cluster), ARTIFACTS, on_step=_told)

        more = [partial(elsewhere, number) for number in range(2, jobs + 1)]
        found = asyncio.run(side_by_side([here, *more], orders))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / f"labs-{backend.name}.xml").write_text(junit(found))
    return {report.lab: report for report in found}


def _told(report: Report, step: Step) -> None:
    if not step.passed or step.phase in ("reset", "removal"):
        print(f"{report.lab}: {step.phase}: {step.name}: {step.problem or 'ok'} ({report.seconds:.1f} s so far)")


@pytest.mark.parametrize("lab", [*LABS, COURSE])
def test_the_lab_is_proven(lab: str, reports: dict[str, Report]) -> None:
    report = reports[lab]
    assert not report.failures, "\n".join(f"{step.phase} {step.name}: {step.problem}" for step in report.failures)
    assert report.proven
