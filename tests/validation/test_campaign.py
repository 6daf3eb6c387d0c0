"""Several labs, several passes: the order, what is proven once for all, and what becomes of a lab that did not hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshdojo.backends.base import BackendError
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.validation import campaign, inventory, setup
from meshdojo.validation.campaign import COURSE, Campaign, Plan, side_by_side, slowest_first
from meshdojo.validation.report import Report, Step

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


LABS = load_course().labs[:3]


class FakeBackend:
    name = "fake"
    owned = True
    kubeconfig = "/nowhere"


class NoClient:
    async def __aenter__(self) -> NoClient:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class World:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken: set[str] = set()
        self.left: list[frozenset[Any]] = []
        self.removal: Exception | None = None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    async def remove_all(*_: object) -> None:
        world.log.append("remove")
        if world.removal:
            raise world.removal

    async def prepare(*_: object) -> None: ...

    async def take(_client: object, *, owned: bool) -> frozenset[Any]:
        return world.left.pop(0) if world.left else frozenset()

    async def validate(lab: Lab, _backend: object, report: Report, on_step: Any, **_: Any) -> Report:
        world.log.append(lab.id)
        await asyncio.sleep(0)
        step = Step("reset", "x", 1.0, "no" if lab.id in world.broken else "", report.number)
        report.steps.append(step)
        on_step(step)
        return report

    monkeypatch.setattr(setup, "remove_all", remove_all)
    monkeypatch.setattr(setup, "prepare", prepare)
    monkeypatch.setattr(inventory, "take", take)
    monkeypatch.setattr(campaign, "validate", validate)
    monkeypatch.setattr(HTTPClient, "from_kubeconfig", lambda path: NoClient())
    return world


def prove(world: World, orders: list[list[Lab]], **options: Any) -> Any:
    return Campaign(FakeBackend(), **options).run(orders)  # type: ignore[arg-type]


async def test_each_pass_begins_and_ends_without_a_lab(world: World) -> None:
    told: list[tuple[str, int]] = []
    reports = await prove(
        world, Plan(2).orders(LABS), on_step=lambda report, step: told.append((report.lab, step.number))
    )
    ids = [lab.id for lab in LABS]
    assert world.log == ["remove", *ids, "remove"] * 2
    assert [report.lab for report in reports] == [COURSE, *ids]
    assert all(report.proven for report in reports)
    assert told[:2] == [(COURSE, 1), (ids[0], 1)]
    assert told[-1] == (COURSE, 2)


async def test_what_is_left_at_the_end_proves_nothing_of_the_whole(world: World) -> None:
    world.left = [frozenset(), frozenset({("secrets", "default", "mine")})]
    reports = await prove(world, Plan().orders(LABS))
    assert [report.lab for report in reports if not report.proven] == [COURSE]
    assert reports[0].failures[0].problem == "left behind: secrets default/mine"


async def test_a_lab_that_did_not_hold_is_not_tried_again_and_the_others_are(world: World) -> None:
    world.broken = {LABS[1].id}
    reports = await prove(world, Plan(2).orders(LABS))
    assert world.log.count(LABS[1].id) == 1
    assert world.log.count(LABS[2].id) == 2
    assert [report.lab for report in reports if not report.proven] == [LABS[1].id]


async def test_a_cluster_that_cannot_be_cleared_proves_nothing(world: World) -> None:
    world.removal = BackendError("namespace 'fleet' was not made by meshdojo")
    reports = await prove(world, Plan().orders(LABS))
    assert world.log == ["remove"]
    assert [(report.lab, report.proven) for report in reports] == [(COURSE, False)]


async def test_jobs_side_by_side_prove_each_lab_once(world: World) -> None:
    campaigns: list[Campaign] = []

    async def job() -> Campaign:
        campaigns.append(Campaign(FakeBackend()))  # type: ignore[arg-type]
        return campaigns[-1]

    reports = await side_by_side([job, job], Plan(2).orders(LABS))
    ids = [lab.id for lab in LABS]
    assert sorted(world.log) == sorted(["remove"] * 2 * 2 * 2 + ids * 2)
    assert all(len(campaign.reports) > 1 for campaign in campaigns), "each has work to do"
    assert {report.lab: len(report.steps) for report in reports} == {COURSE: 8, **dict.fromkeys(ids, 2)}
    assert all(report.proven for report in reports)


async def test_a_job_that_cannot_start_ends_the_others_well(world: World) -> None:
    async def job() -> Campaign:
        return Campaign(FakeBackend())  # type: ignore[arg-type]

    async def broken() -> Campaign:
        raise BackendError("no more room for a cluster")

    with pytest.raises(BackendError, match="no more room"):
        await side_by_side([job, broken], Plan().orders(LABS))
    assert world.log == ["remove", *(lab.id for lab in LABS), "remove"]


def test_the_lab_that_takes_longest_comes_first() -> None:
    ids = [lab.id for lab in slowest_first(load_course().labs)]
    assert sorted(ids) == sorted(lab.id for lab in load_course().labs)
    assert ids[0] == "install", "it installs Istio again for each solution"


def test_orders_follow_from_the_seed() -> None:
    labs = load_course().labs
    assert Plan(2).orders(labs) == [list(labs)] * 2
    first, second = Plan(2, seed=7).orders(labs)
    assert Plan(2, seed=7).orders(labs) == [first, second]
    assert sorted(lab.id for lab in first) == sorted(lab.id for lab in labs)
    different = {tuple(lab.id for lab in order) for seed in range(9) for order in Plan(2, seed).orders(labs)}
    assert len(different) > 9
