"""CronJobs: create a job each time their schedule says so.

Source: ``k8s.io/kubernetes/pkg/controller/cronjob/cronjob_controllerv2.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers import owners
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself, namespace_is_going
from meshdojo.kubernetes.controllers.cron import Schedule
from meshdojo.kubernetes.controllers.events import reference
from meshdojo.kubernetes.timestamps import parse

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
JOBS = "jobs.batch"


class CronJobController(Controller):
    """Creates jobs on time, follows them, and deletes old ones."""

    name = "cronjob-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.cron_jobs = self.follow("cronjobs.batch", itself)
        self.jobs = self.follow(JOBS, _cron_job_of)
        owners.index(self.jobs)
        self._unexpected: set[str] = set()
        # Uids of jobs that we started: known also while the status that names them could not be written yet.
        self._started: set[str] = set()

    async def reconcile(self, key: Key) -> None:
        cron_job = self.cron_jobs.get(*key)
        if cron_job is None or cron_job["metadata"].get("deletionTimestamp"):
            return
        cron_job = await self._follow_jobs(cron_job)
        await self._clean(cron_job)
        if cron_job["spec"].get("suspend"):
            return
        try:
            schedule = Schedule.parse(cron_job["spec"]["schedule"])
        except ValueError as error:
            self.recorder.warning(cron_job, "UnparseableSchedule", f"unparseable schedule: {error}")
            return
        zone = _zone(cron_job)
        due = _due(cron_job, schedule, zone)
        if due is not None and not await self._blocked(cron_job):
            await self._start(cron_job, due)
        following = schedule.next(datetime.now(zone))
        if following is not None:
            self.queue.add_after(key, (following - datetime.now(zone)).total_seconds() + 0.1)

    def _jobs(self, cron_job: Object) -> list[Object]:
        return self.jobs.indexed(owners.BY_OWNER, cron_job["metadata"]["uid"])

    async def _follow_jobs(self, cron_job: Object) -> Object:
        """Keep status.active, and tell of jobs that have ended."""
        before = cron_job.get("status") or {}
        jobs = self._jobs(cron_job)
        known = {one["uid"] for one in before.get("active") or ()} | self._started
        running = [reference(job) for job in jobs if not _ended(job) and job["metadata"]["uid"] in known]
        for job in jobs:
            self._tell_unexpected(cron_job, job, known)
            if (how := _ended(job)) and job["metadata"]["uid"] in known:
                words = f"Saw completed job: {job['metadata']['name']}, condition: {how}"
                self.recorder.normal(cron_job, "SawCompletedJob", words)
                self._started.discard(job["metadata"]["uid"])
        successes = [job["status"]["completionTime"] for job in jobs if _ended(job) == "Complete"]
        status = {name: value for name, value in before.items() if name != "active"}
        if running:
            # A reference names a version of its job, which says nothing here and would make every change one of ours.
            status["active"] = [_without_version(one) for one in running]
        if last := max([*successes, before.get("lastSuccessfulTime", "")]):
            status["lastSuccessfulTime"] = last
        return await self.write_status(self.cron_jobs, cron_job, status)

    def _tell_unexpected(self, cron_job: Object, job: Object, known: set[str]) -> None:
        """A job of ours that we did not start, as ``kubectl create job --from`` makes it, is no active one."""
        uid = job["metadata"]["uid"]
        if uid in known or uid in self._unexpected or _ended(job):
            return
        self._unexpected.add(uid)
        words = f"Saw a job that the controller did not create or forgot: {job['metadata']['name']}"
        self.recorder.warning(cron_job, "UnexpectedJob", words)

    async def _blocked(self, cron_job: Object) -> bool:
        """What concurrencyPolicy says to jobs that still run."""
        running = [job for job in self._jobs(cron_job) if not _ended(job)]
        policy = cron_job["spec"].get("concurrencyPolicy", "Allow")
        if running and policy == "Forbid":
            words = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.normal(cron_job, "JobAlreadyActive", words)
            return True
        if policy == "Replace":
            for job in running:
                await self._delete(cron_job, job)
        return False

    async def _start(self, cron_job: Object, due: datetime) -> None:
        metadata, template = cron_job["metadata"], cron_job["spec"]["jobTemplate"]
        job_metadata = template.get("metadata") or {}
        stamp = due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                **job_metadata,
                "name": f"{metadata['name']}-{int(due.timestamp()) // 60}",
                "annotations": {**(job_metadata.get("annotations") or {}), SCHEDULED: stamp},
                "ownerReferences": [owners.controller_reference(cron_job)],
            },
            "spec": template["spec"],
        }
        made = await self._create(cron_job, job)
        if made is None:
            return
        status = cron_job.get("status") or {}
        others = [one for one in status.get("active") or () if one["uid"] != made["metadata"]["uid"]]
        active = [*others, *([] if _ended(made) else [_without_version(reference(made))])]
        written = {**status, "active": active, "lastScheduleTime": stamp}
        await self.write_status(self.cron_jobs, cron_job, written)
        self.jobs.observe(made)

    async def _create(self, cron_job: Object, job: Object) -> Object | None:
        """The new job, or the one of that name if it is ours: we made it, but could not note it. None if neither."""
        name, namespace = job["metadata"]["name"], cron_job["metadata"]["namespace"]
        try:
            made = await self.client.create(JOBS, job, namespace)
        except StatusError as error:
            if error.reason == "AlreadyExists":
                existing = await self.client.get(JOBS, name, namespace)
                owner = owners.controller_of(existing)
                return existing if owner and owner["uid"] == cron_job["metadata"]["uid"] else None
            if namespace_is_going(error):
                return None
            self.recorder.warning(cron_job, "FailedCreate", f"Error creating job: {error.message}")
            raise
        self._started.add(made["metadata"]["uid"])
        self.recorder.normal(cron_job, "SuccessfulCreate", f"Created job {name}")
        return made

    async def _clean(self, cron_job: Object) -> None:
        """Delete the oldest ended jobs beyond the history limits."""
        spec = cron_job["spec"]
        limits = (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1))
        for how, field, default in limits:
            ended = [job for job in self._jobs(cron_job) if _ended(job) == how]
            ended.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
            for job in ended[: max(0, len(ended) - spec.get(field, default))]:
                await self._delete(cron_job, job)

    async def _delete(self, cron_job: Object, job: Object) -> None:
        metadata = job["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        try:
            await self.client.delete(
                JOBS, metadata["name"], metadata["namespace"], propagation="Background", uid=metadata["uid"]
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise
            return
        self.recorder.normal(cron_job, "SuccessfulDelete", f"Deleted job {metadata['name']}")


def _cron_job_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    for job in (old, new):
        owner = owners.controller_of(job) if job else None
        if job and owner and owner["kind"] == "CronJob":
            yield job["metadata"]["namespace"], owner["name"]


def _due(cron_job: Object, schedule: Schedule, zone: tzinfo) -> datetime | None:
    """The latest time at which a job was due and none was started; None if there is none, or it is too late for it."""
    last = (cron_job.get("status") or {}).get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    current = datetime.now(zone)
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    # A clock that was put back must not stop the schedule until it has caught up with the last run.
    earliest = min(parse(last).astimezone(zone), current)
    if deadline is not None:
        earliest = max(earliest, current - timedelta(seconds=deadline))
    found = None
    while (following := schedule.next(earliest)) is not None and following <= current:
        found = following
        # A machine that slept for long owes one job, not one for each minute: halve the gap rather than walk it.
        middle = following + (current - following) / 2
        earliest = middle if _is_due_between(schedule, middle, current) else following
    return found


def _is_due_between(schedule: Schedule, start: datetime, end: datetime) -> bool:
    following = schedule.next(start)
    return following is not None and following <= end


def _zone(cron_job: Object) -> tzinfo:
    name = cron_job["spec"].get("timeZone")
    return ZoneInfo(name) if name else UTC


def _ended(job: Object) -> str:
    """``Complete`` or ``Failed``, '' while it runs."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    ends = (one["type"] for one in conditions if one["status"] == "True" and one["type"] in ("Complete", "Failed"))
    return next(ends, "")


def _without_version(one: Object) -> Object:
    return {name: value for name, value in one.items() if name != "resourceVersion"}
