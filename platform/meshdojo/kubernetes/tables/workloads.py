"""The tables of deployments, replica sets, stateful sets, daemon sets, jobs, cron jobs and autoscalers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.autoscalers import to_v2
from meshdojo.kubernetes.tables.ages import age, human_duration, parse_time
from meshdojo.kubernetes.tables.columns import (
    NONE,
    UNSET,
    Printer,
    columns,
    containers_and_images,
    created,
    labels_text,
    name_of,
    selector_text,
)

_UNKNOWN = "<unknown>"


def _parts(obj: Object) -> tuple[Object, Object]:
    return obj.get("spec") or {}, obj.get("status") or {}


def _deployment(deployment: Object, now: datetime) -> list[Any]:
    spec, status = _parts(deployment)
    return [
        name_of(deployment),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(created(deployment), now),
        *containers_and_images(spec.get("template") or {}),
        selector_text(spec.get("selector")),
    ]


def _replica_set(replica_set: Object, now: datetime) -> list[Any]:
    spec, status = _parts(replica_set)
    return [
        name_of(replica_set),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(created(replica_set), now),
        *containers_and_images(spec.get("template") or {}),
        selector_text(spec.get("selector")),
    ]


def _replication_controller(controller: Object, now: datetime) -> list[Any]:
    spec = controller.get("spec") or {}
    as_set = {**controller, "spec": {**spec, "selector": {"matchLabels": spec.get("selector")}}}
    return _replica_set(as_set, now)


def _pod_template(template: Object, now: datetime) -> list[Any]:
    inner = template.get("template") or {}
    labels = labels_text((inner.get("metadata") or {}).get("labels"))
    return [name_of(template), *containers_and_images(inner), labels]


def _stateful_set(stateful_set: Object, now: datetime) -> list[Any]:
    spec, status = _parts(stateful_set)
    return [
        name_of(stateful_set),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        age(created(stateful_set), now),
        *containers_and_images(spec.get("template") or {}),
    ]


def _daemon_set(daemon_set: Object, now: datetime) -> list[Any]:
    spec, status = _parts(daemon_set)
    template = spec.get("template") or {}
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    return [
        name_of(daemon_set),
        *(status.get(name, 0) for name in (*counts, "numberAvailable")),
        labels_text((template.get("spec") or {}).get("nodeSelector")),
        age(created(daemon_set), now),
        *containers_and_images(template),
        selector_text(spec.get("selector")),
    ]


def _job(job: Object, now: datetime) -> list[Any]:
    spec, _ = _parts(job)
    return [
        name_of(job),
        _job_status(job),
        _completions(job),
        _job_duration(job, now),
        age(created(job), now),
        *containers_and_images(spec.get("template") or {}),
        selector_text(spec.get("selector")),
    ]


def _completions(job: Object) -> str:
    spec, status = _parts(job)
    succeeded = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_status(job: Object) -> str:
    met = {c["type"] for c in (job.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    for condition in ("Complete", "Failed"):
        if condition in met:
            return condition
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((c for c in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if c in met), "Running")


def _job_duration(job: Object, now: datetime) -> str:
    _, status = _parts(job)
    started = parse_time(status.get("startTime"))
    if started is None:
        return ""
    return human_duration((parse_time(status.get("completionTime")) or now) - started)


def _cron_job(cron_job: Object, now: datetime) -> list[Any]:
    spec, status = _parts(cron_job)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        name_of(cron_job),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        age(created(cron_job), now),
        *containers_and_images(job.get("template") or {}),
        selector_text(job.get("selector")),
    ]


def _autoscaler(autoscaler: Object, now: datetime) -> list[Any]:
    spec, status = _parts(to_v2(autoscaler) if autoscaler.get("apiVersion") == "autoscaling/v1" else autoscaler)
    target = spec.get("scaleTargetRef") or {}
    return [
        name_of(autoscaler),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        str(spec["minReplicas"]) if spec.get("minReplicas") is not None else UNSET,
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(created(autoscaler), now),
    ]


def _metrics(wanted: list[Object], current: list[Object]) -> str:
    if not wanted:
        return NONE
    return ", ".join(_metric(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(wanted))


def _metric(metric: Object, current: Object) -> str:
    """``cpu: 3%/80%``, ``<unknown>`` for what was not measured."""
    kind = str(metric.get("type", ""))
    field = kind[:1].lower() + kind[1:]
    source, found = metric.get(field) or {}, (current.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    name = f"{source['name']}: " if kind == "Resource" else ""
    if target.get("averageUtilization") is not None:
        measured = found.get("averageUtilization")
        return f"{name}{_UNKNOWN if measured is None else f'{measured}%'}/{target['averageUtilization']}%"
    wanted = target.get("averageValue") or target.get("value") or ""
    return f"{name}{found.get('averageValue') or found.get('value') or _UNKNOWN}/{wanted}"


_TEMPLATE = "Containers, Images, Selector"
DEPLOYMENTS = Printer(columns("Name, Ready, Up-to-date, Available, Age", _TEMPLATE), _deployment)
REPLICA_SETS = Printer(columns("Name, Desired:integer, Current:integer, Ready:integer, Age", _TEMPLATE), _replica_set)
REPLICATION_CONTROLLERS = Printer(REPLICA_SETS.columns, _replication_controller)
POD_TEMPLATES = Printer(columns("Name, Containers, Images, Pod Labels"), _pod_template)
STATEFUL_SETS = Printer(columns("Name, Ready, Age", "Containers, Images"), _stateful_set)
DAEMON_SETS = Printer(
    columns(
        "Name, Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, Available:integer, "
        "Node Selector, Age",
        _TEMPLATE,
    ),
    _daemon_set,
)
JOBS = Printer(columns("Name, Status, Completions, Duration, Age", _TEMPLATE), _job)
CRON_JOBS = Printer(
    columns("Name, Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age", _TEMPLATE), _cron_job
)
AUTOSCALERS = Printer(columns("Name, Reference, Targets, MinPods, MaxPods, Replicas, Age"), _autoscaler)
