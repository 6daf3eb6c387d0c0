"""Cron jobs whose time has come. The clock is not touched: they are made to have waited long enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.controllers.cron import Schedule
from meshdojo.kubernetes.controllers.cronjobs import _due
from meshdojo.kubernetes.timestamps import now

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
CRON_JOBS, JOBS = "cronjobs.batch", "jobs.batch"
OVERDUE = {"status": {"lastScheduleTime": now(-3600)}}


def cron_job(image: str = "succeeds", **spec: Any) -> Object:
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": image}]}}
    job = {"metadata": {"labels": {"team": "a"}}, "spec": {"template": pod}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick"},
        "spec": {"schedule": "* * * * *", "jobTemplate": job, **spec},
    }


async def make_overdue(world: World) -> None:
    await world.api.patch(CRON_JOBS, "tick", OVERDUE, "default", subresource="status")


async def test_an_overdue_cron_job_starts_one_job(world: World) -> None:
    made = await world.api.create(CRON_JOBS, cron_job(), "default")
    await make_overdue(world)
    done = await world.until(CRON_JOBS, "tick", lambda obj: obj["status"].get("lastSuccessfulTime"))
    (job,) = (await world.api.list(JOBS, "default")).items
    name = job["metadata"]["name"]
    assert name.startswith("tick-")
    assert job["metadata"]["labels"]["team"] == "a"
    assert job["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    scheduled = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert done["status"]["lastScheduleTime"] == scheduled
    assert "active" not in done["status"]
    assert await world.messages("CronJob") == [
        f"SuccessfulCreate: Created job {name}",
        f"SawCompletedJob: Saw completed job: {name}, condition: Complete",
    ]


async def test_a_suspended_one_does_nothing(world: World) -> None:
    await world.api.create(CRON_JOBS, cron_job(suspend=True), "default")
    await make_overdue(world)
    await world.settle()
    assert (await world.api.list(JOBS, "default")).items == []


async def test_forbid_waits_for_the_job_that_runs(world: World) -> None:
    await world.api.create(CRON_JOBS, cron_job("runs", concurrencyPolicy="Forbid"), "default")
    await make_overdue(world)
    await world.until(CRON_JOBS, "tick", lambda obj: obj["status"].get("active"))
    await make_overdue(world)
    await world.settle()
    assert len((await world.api.list(JOBS, "default")).items) == 1
    words = "Not starting job because prior execution is running and concurrency policy is Forbid"
    assert f"JobAlreadyActive: {words}" in await world.messages("CronJob")


async def test_a_job_started_by_hand_is_told_and_not_counted(world: World) -> None:
    made = await world.api.create(CRON_JOBS, cron_job(suspend=True), "default")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": made["metadata"]["uid"]}
    metadata = {"name": "mine", "ownerReferences": [{**owner, "controller": True}]}
    spec = cron_job("runs")["spec"]["jobTemplate"]["spec"]
    await world.api.create(JOBS, {"metadata": metadata, "spec": spec}, "default")
    words = "UnexpectedJob: Saw a job that the controller did not create or forgot: mine"
    assert await world.messages("CronJob") == [words]
    assert "active" not in (await world.api.get(CRON_JOBS, "tick", "default")).get("status", {})


async def test_old_jobs_are_deleted(world: World) -> None:
    await world.api.create(CRON_JOBS, cron_job(successfulJobsHistoryLimit=0), "default")
    await make_overdue(world)
    await world.until(CRON_JOBS, "tick", lambda obj: obj["status"].get("lastSuccessfulTime"))
    await world.until_all(JOBS, lambda found: not found)
    assert (await world.messages("CronJob"))[-1].startswith("SuccessfulDelete: Deleted job tick-")


def at(**ago: float) -> Object:
    created = (datetime.now(UTC) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"creationTimestamp": created}, "spec": {}}


def test_after_a_long_sleep_only_the_last_time_counts() -> None:
    found = _due(at(days=400), Schedule.parse("* * * * *"), UTC)
    assert found is not None
    assert datetime.now(UTC) - found < timedelta(minutes=2)


def test_a_rare_schedule_is_not_missed() -> None:
    found = _due(at(days=400), Schedule.parse("0 0 1 1 *"), UTC)
    assert found is not None
    assert (found.month, found.day) == (1, 1)


def test_what_is_later_than_its_deadline_is_left_out() -> None:
    late = at(days=2)
    late["spec"]["startingDeadlineSeconds"] = 10
    assert _due(late, Schedule.parse("0 0 1 1 *"), UTC) is None


def test_nothing_is_due_at_once() -> None:
    assert _due(at(seconds=0), Schedule.parse("0 0 1 1 *"), UTC) is None


def test_a_clock_that_was_put_back_does_not_stop_the_schedule() -> None:
    ahead = at(hours=-5)
    ahead["status"] = {"lastScheduleTime": ahead["metadata"]["creationTimestamp"]}
    schedule = Schedule.parse("* * * * *")
    assert _due(ahead, schedule, UTC) is None
    following = schedule.next(datetime.now(UTC))
    assert following is not None
    assert following - datetime.now(UTC) <= timedelta(minutes=1)
