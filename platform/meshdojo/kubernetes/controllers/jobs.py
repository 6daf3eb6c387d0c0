"""Jobs: run pods until enough of them have succeeded, or too many failed.

Source: ``k8s.io/kubernetes/pkg/controller/job``. Not here: pod failure and success policies, backoff per index.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, repeat
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.controllers import owners, pod_status
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.controllers.pod_control import BURST, PodControl, pod_from_template
from meshdojo.kubernetes.selectors import LabelSelector
from meshdojo.kubernetes.timestamps import now, parse

INDEX = "batch.kubernetes.io/job-completion-index"
FIRST_BACKOFF_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 360.0
COMPLETE = "CompletionsReached", "Reached expected number of succeeded pods"
TOO_MANY_FAILED = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
TOO_LATE = "DeadlineExceeded", "Job was active longer than specified deadline"


@dataclass
class Ended:
    """The uids of a job's pods that were seen to end, and how many others (succeeded, failed) its status counts."""

    succeeded: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    before: tuple[int, int] | None = None

    def note(self, pod: Object) -> None:
        """Count a pod that has ended, once."""
        if pod_status.is_terminal(pod):
            seen = self.succeeded if pod["status"]["phase"] == "Succeeded" else self.failed
            seen.add(pod["metadata"]["uid"])

    def count(self, status: Object) -> tuple[int, int]:
        """How many have succeeded and failed in all. What the first status says beyond those seen was before us."""
        if self.before is None:
            counted = status.get("succeeded", 0) - len(self.succeeded), status.get("failed", 0) - len(self.failed)
            self.before = max(0, counted[0]), max(0, counted[1])
        return self.before[0] + len(self.succeeded), self.before[1] + len(self.failed)


@dataclass(frozen=True)
class Pods:
    """A job's pods by what has become of them. `succeeded` and `failed` count those that were deleted since, too."""

    active: list[Object]
    ended: list[Object]
    succeeded: int
    failed: int


class JobController(Controller):
    """Creates a job's pods and judges it by how they ended."""

    name = "job-controller"
    workers = 4

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.jobs = self.follow("jobs.batch", itself)
        self._ended: dict[str, Ended] = {}
        self.pods = self.follow("pods", self._pod_changed)
        owners.index(self.pods)
        self.control = PodControl(self.client, self.pods, self.recorder)

    async def reconcile(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None or job["metadata"].get("deletionTimestamp"):
            return  # the garbage collector sees to its pods
        if finished := _finished(job):
            self._ended.pop(job["metadata"]["uid"], None)
            await self._expire(key, job, finished)
            return
        selector = LabelSelector.from_object(job["spec"]["selector"])
        pods = self._sorted(job, await owners.claim(self.client, job, self.pods, selector))
        verdict = _verdict(job, pods)
        if verdict is not None:
            await self._end(job, pods, verdict)
        elif job["spec"].get("suspend"):
            await self._suspend(job, pods)
        else:
            await self._run(key, job, pods)

    def _pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Endings are noted here, where none is missed: a pod may be deleted before its job is looked at."""
        for pod in (old, new):
            owner = owners.controller_of(pod) if pod else None
            if pod and owner and owner["kind"] == "Job":
                key = pod["metadata"]["namespace"], owner["name"]
                job = self.jobs.get(*key)
                if job is not None and not _finished(job):
                    self._ended.setdefault(owner["uid"], Ended()).note(pod)
                yield key

    def _sorted(self, job: Object, pods: list[Object]) -> Pods:
        ended = [pod for pod in pods if pod_status.is_terminal(pod)]
        active = [pod for pod in pods if pod_status.is_active(pod)]
        known = self._ended.setdefault(job["metadata"]["uid"], Ended())
        for pod in ended:
            known.note(pod)
        return Pods(active, ended, *known.count(job.get("status") or {}))

    async def _run(self, key: Key, job: Object, pods: Pods) -> None:
        """Have as many pods as the job may have at once."""
        job = self._resumed(job)
        wait = _backoff(pods)
        failure: StatusError | None = None
        missing = _wanted(job, pods) - len(pods.active)
        if missing < 0:
            for pod in sorted(pods.active, key=pod_status.deletion_rank)[:-missing]:
                await self.control.delete(job, pod)
        elif missing and wait > 0:
            self.queue.add_after(key, wait)
        elif missing:
            failure = await self._create(job, pods, missing)
        await self.write_status(self.jobs, self.jobs.get(*key) or job, self._status(job, pods))
        self._watch_deadline(key, job)
        if failure is not None:
            raise failure

    async def _create(self, job: Object, pods: Pods, missing: int) -> StatusError | None:
        if missing > BURST:
            self.queue.add(key_of(job))
        indices: Iterable[int | None] = _free_indices(job, pods) if _is_indexed(job) else repeat(None)
        for index in islice(indices, min(missing, BURST)):
            failure = await self.control.create(job, _pod(job, index))
            if failure is not None:
                return failure
            await asyncio.sleep(0)  # everybody else gets a turn
        return None

    async def _end(self, job: Object, pods: Pods, verdict: tuple[str, str]) -> None:
        for pod in pods.active:
            await self.control.delete(job, pod)
        good = verdict == COMPLETE
        status = self._status(job, Pods([], pods.ended, pods.succeeded, pods.failed))
        if good:
            status["completionTime"] = now()
            status = _with_condition(status, "SuccessCriteriaMet", "True", *verdict)
            self.recorder.normal(job, "Completed", "Job completed")
        else:
            status = _with_condition(status, "FailureTarget", "True", *verdict)
            self.recorder.warning(job, *verdict)
        await self.write_status(
            self.jobs, job, _with_condition(status, "Complete" if good else "Failed", "True", *verdict)
        )

    async def _suspend(self, job: Object, pods: Pods) -> None:
        for pod in pods.active:
            await self.control.delete(job, pod)
        status = self._status(job, Pods([], pods.ended, pods.succeeded, pods.failed))
        status.pop("startTime", None)
        if not _condition_is(job, "Suspended", "True"):
            self.recorder.normal(job, "Suspended", "Job suspended")
            status = _with_condition(status, "Suspended", "True", "JobSuspended", "Job suspended")
        await self.write_status(self.jobs, job, status)

    def _resumed(self, job: Object) -> Object:
        if not _condition_is(job, "Suspended", "True"):
            return job
        self.recorder.normal(job, "Resumed", "Job resumed")
        status = _with_condition(job["status"], "Suspended", "False", "JobResumed", "Job resumed")
        return {**job, "status": status}

    def _status(self, job: Object, pods: Pods) -> dict[str, Any]:
        before = job.get("status") or {}
        status: dict[str, Any] = {
            "ready": sum(map(pod_status.is_ready, pods.active)),
            "startTime": before.get("startTime") or now(),
            "terminating": 0,
            "uncountedTerminatedPods": {},
        }
        for name, count in (("active", len(pods.active)), ("failed", pods.failed), ("succeeded", pods.succeeded)):
            if count:
                status[name] = count
        if _is_indexed(job) and (done := _done_indices(pods)):
            status["completedIndexes"] = _ranges(done)
        if before.get("conditions"):
            status["conditions"] = before["conditions"]
        return status

    async def _expire(self, key: Key, job: Object, finished: Object) -> None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return
        left = ttl - _seconds_since(finished["lastTransitionTime"])
        if left > 0:
            self.queue.add_after(key, left + 0.1)
            return
        metadata = job["metadata"]
        try:
            await self.client.delete(
                "jobs.batch", metadata["name"], metadata["namespace"], propagation="Background", uid=metadata["uid"]
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    def _watch_deadline(self, key: Key, job: Object) -> None:
        seconds = job["spec"].get("activeDeadlineSeconds")
        started = (job.get("status") or {}).get("startTime")
        if seconds is not None:
            self.queue.add_after(key, seconds - (_seconds_since(started) if started else 0) + 0.1)


def _verdict(job: Object, pods: Pods) -> tuple[str, str] | None:
    """Why the job is over: (reason, message); None while it is not."""
    spec, started = job["spec"], (job.get("status") or {}).get("startTime")
    restarts = sum(_restarts(pod) for pod in pods.active)
    limit = spec.get("backoffLimit", 6)
    if pods.failed > limit or (restarts and restarts > limit):
        return TOO_MANY_FAILED
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and started and _seconds_since(started) >= deadline and not spec.get("suspend"):
        return TOO_LATE
    completions = spec.get("completions")
    done = pods.succeeded > 0 and not pods.active if completions is None else pods.succeeded >= completions
    return COMPLETE if done else None


def _wanted(job: Object, pods: Pods) -> int:
    """How many pods may run at once now."""
    parallelism = int(job["spec"].get("parallelism", 1))
    completions = job["spec"].get("completions")
    if completions is None:  # a work queue: once a pod has succeeded no new ones are started
        return len(pods.active) if pods.succeeded else parallelism
    return min(parallelism, int(completions) - pods.succeeded)


def _backoff(pods: Pods) -> float:
    """Seconds to wait before a failed pod is replaced."""
    failed = [pod for pod in pods.ended if pod["status"]["phase"] == "Failed"]
    if not failed:
        return 0.0
    pause = min(FIRST_BACKOFF_SECONDS * float(2 ** min(len(failed) - 1, 10)), LONGEST_BACKOFF_SECONDS)
    return pause - min(_seconds_since(_end_of(pod)) for pod in failed)


def _end_of(pod: Object) -> str:
    states = [one.get("state", {}).get("terminated") or {} for one in pod["status"].get("containerStatuses") or ()]
    return max((state["finishedAt"] for state in states if state.get("finishedAt")), default=_created(pod))


def _created(pod: Object) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _restarts(pod: Object) -> int:
    return sum(int(one.get("restartCount", 0)) for one in pod["status"].get("containerStatuses") or ())


def _pod(job: Object, index: int | None) -> Object:
    pod = pod_from_template(job)
    if index is None:
        return pod
    pod = copy.deepcopy(pod)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["generateName"] = f"{job['metadata']['name']}-{index}-"
    metadata.setdefault("annotations", {})[INDEX] = metadata.setdefault("labels", {})[INDEX] = str(index)
    spec.setdefault("hostname", f"{job['metadata']['name']}-{index}")
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
    return pod


def _is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def _index_of(pod: Object) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, "-1"))


def _done_indices(pods: Pods) -> list[int]:
    return sorted({_index_of(pod) for pod in pods.ended if pod["status"]["phase"] == "Succeeded"})


def _free_indices(job: Object, pods: Pods) -> Iterator[int]:
    taken = {*_done_indices(pods), *map(_index_of, pods.active)}
    return (index for index in range(job["spec"]["completions"]) if index not in taken)


def _ranges(numbers: Sequence[int]) -> str:
    """Indices as the API writes them: ``0-2,4``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _finished(job: Object) -> Object | None:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def _condition_is(job: Object, type: str, status: str) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] == type and one["status"] == status for one in conditions)


def _with_condition(status: Object, type: str, value: str, reason: str, message: str) -> dict[str, Any]:
    condition = {
        "type": type,
        "status": value,
        "reason": reason,
        "message": message,
        "lastProbeTime": now(),
        "lastTransitionTime": now(),
    }
    others = [one for one in status.get("conditions") or () if one["type"] != type]
    return {**status, "conditions": [*others, condition]}


def _seconds_since(time: str) -> float:
    return (datetime.now(UTC) - parse(time)).total_seconds()
