"""Jobs that succeed, fail, wait and expire. Words recorded on Kubernetes 1.34.4."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.controllers import jobs

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio
JOBS = "jobs.batch"


def job(image: str, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": image}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "task"},
        "spec": {"template": template, **spec},
    }


def conditions(obj: Object) -> dict[str, tuple[str, str]]:
    found = obj.get("status", {}).get("conditions", [])
    return {one["type"]: (one["reason"], one["message"]) for one in found if one["status"] == "True"}


async def test_a_job_completes(world: World) -> None:
    await world.api.create(JOBS, job("succeeds", completions=3, parallelism=2), "default")
    done = await world.until(JOBS, "task", lambda obj: "Complete" in conditions(obj))
    words = ("CompletionsReached", "Reached expected number of succeeded pods")
    assert conditions(done) == {"SuccessCriteriaMet": words, "Complete": words}
    assert done["status"]["succeeded"] == 3
    assert done["status"]["completionTime"]
    pods = (await world.api.list("pods", "default")).items
    uid = done["metadata"]["uid"]
    assert {pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] for pod in pods} == {uid}
    assert {pod["metadata"]["labels"]["job-name"] for pod in pods} == {"task"}
    created = [f"SuccessfulCreate: Created pod: {pod['metadata']['name']}" for pod in pods]
    messages = await world.messages("Job")
    assert sorted(messages[:-1]) == sorted(created)
    assert messages[-1] == "Completed: Job completed"


async def test_a_job_fails_when_too_many_pods_do(world: World) -> None:
    await world.api.create(JOBS, job("fails", backoffLimit=0), "default")
    done = await world.until(JOBS, "task", lambda obj: "Failed" in conditions(obj))
    words = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions(done) == {"FailureTarget": words, "Failed": words}
    assert done["status"]["failed"] == 1
    assert (await world.messages("Job"))[-1] == f"{words[0]}: {words[1]}"


async def test_a_failed_pod_is_replaced_after_a_pause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_BACKOFF_SECONDS", 0.01)
    await world.api.create(JOBS, job("fails", backoffLimit=1), "default")
    done = await world.until(JOBS, "task", lambda obj: "Failed" in conditions(obj))
    assert done["status"]["failed"] == 2


async def test_a_deadline(world: World) -> None:
    await world.api.create(JOBS, job("runs", activeDeadlineSeconds=1), "default")
    done = await world.until(JOBS, "task", lambda obj: "Failed" in conditions(obj))
    assert conditions(done)["Failed"] == ("DeadlineExceeded", "Job was active longer than specified deadline")
    await world.until_all("pods", lambda pods: not pods)


async def test_suspend_and_resume(world: World) -> None:
    await world.api.create(JOBS, job("runs"), "default")
    await world.until_all("pods", lambda pods: len(pods) == 1)
    await world.api.patch(JOBS, "task", {"spec": {"suspend": True}}, "default")
    await world.until(JOBS, "task", lambda obj: conditions(obj).get("Suspended") == ("JobSuspended", "Job suspended"))
    await world.until_all("pods", lambda pods: not pods)
    await world.api.patch(JOBS, "task", {"spec": {"suspend": False}}, "default")
    await world.until_all("pods", lambda pods: len(pods) == 1)
    await world.until(JOBS, "task", lambda obj: "Suspended" not in conditions(obj))


async def test_an_indexed_job_runs_each_index_once(world: World) -> None:
    spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
    await world.api.create(JOBS, job("succeeds", **spec), "default")
    done = await world.until(JOBS, "task", lambda obj: "Complete" in conditions(obj))
    assert done["status"]["completedIndexes"] == "0-2"
    pods = (await world.api.list("pods", "default")).items
    assert sorted(pod["metadata"]["annotations"][jobs.INDEX] for pod in pods) == ["0", "1", "2"]
    assert {env["name"] for pod in pods for env in pod["spec"]["containers"][0]["env"]} == {"JOB_COMPLETION_INDEX"}


async def test_a_finished_job_expires(world: World) -> None:
    await world.api.create(JOBS, job("succeeds", ttlSecondsAfterFinished=0), "default")
    await world.gone(JOBS, "task")
    await world.until_all("pods", lambda pods: not pods)


async def test_a_succeeded_pod_that_is_deleted_still_counts(world: World) -> None:
    await world.api.create(JOBS, job("runs", completions=2, parallelism=1), "default")
    for _ in range(2):
        (pod,) = await world.until_all("pods", lambda pods: len(pods) == 1 and pods[0]["status"].get("podIP"))
        name = pod["metadata"]["name"]
        await world.api.patch("pods", name, {"status": {"phase": "Succeeded"}}, "default", subresource="status")
        await world.until(JOBS, "task", lambda obj: obj["status"].get("succeeded"))
        await world.api.delete("pods", name, "default")
        await world.gone("pods", name)
    done = await world.until(JOBS, "task", lambda obj: "Complete" in conditions(obj))
    assert done["status"]["succeeded"] == 2


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([0], "0"), ([0, 1, 2, 4, 6, 7], "0-2,4,6-7")])
def test_ranges(numbers: list[int], text: str) -> None:
    assert jobs._ranges(numbers) == text


@pytest.mark.parametrize("mode", ["NonIndexed", "Indexed"])
async def test_a_zero_too_many_keeps_nobody_waiting(world: World, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(jobs, "BURST", 25)
    endless = job("one", completions=100_000, parallelism=100_000, completionMode=mode)
    await world.api.create(JOBS, endless, "default")
    counts = [0]
    while counts[-1] < 60:
        await asyncio.sleep(0)
        counts.append(len(world.api.store.list("pods")))
    await world.api.patch(JOBS, "task", {"spec": {"suspend": True}}, "default")
    await world.until_all("pods", lambda pods: not pods)

    assert max(later - earlier for earlier, later in pairwise(counts)) <= 2
