"""Defaults of deployments, replica sets, stateful sets, daemon sets, jobs, cron jobs and autoscalers."""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema.defaults.fill import child, fill
from meshdojo.kubernetes.schema.defaults.pods import default_pod_spec

_REVISIONS = 10
_PROGRESS_DEADLINE_SECONDS = 600
_QUARTER = "25%"


def default_template(owner: Object) -> None:
    """The pod template in ``owner.template``."""
    template = child(owner, "template")
    child(template, "metadata")
    default_pod_spec(child(template, "spec"))


def default_deployment(deployment: Object) -> None:
    """Source: SetDefaults_Deployment in k8s.io/kubernetes/pkg/apis/apps/v1."""
    spec = child(deployment, "spec")
    fill(spec, replicas=1, revisionHistoryLimit=_REVISIONS, progressDeadlineSeconds=_PROGRESS_DEADLINE_SECONDS)
    default_template(spec)
    strategy = child(spec, "strategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(child(strategy, "rollingUpdate"), maxUnavailable=_QUARTER, maxSurge=_QUARTER)
    child(deployment, "status")


def default_replica_set(replica_set: Object) -> None:
    """Source: SetDefaults_ReplicaSet in k8s.io/kubernetes/pkg/apis/apps/v1."""
    spec = child(replica_set, "spec")
    fill(spec, replicas=1)
    default_template(spec)
    child(replica_set, "status").setdefault("replicas", 0)


def default_replication_controller(controller: Object) -> None:
    """Source: SetDefaults_ReplicationController in k8s.io/kubernetes/pkg/apis/core/v1."""
    spec = child(controller, "spec")
    fill(spec, replicas=1)
    default_template(spec)
    labels = spec["template"]["metadata"].get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        controller["metadata"]["labels"] = controller["metadata"].get("labels") or dict(labels)
    child(controller, "status").setdefault("replicas", 0)


def default_stateful_set(stateful_set: Object) -> None:
    """Source: SetDefaults_StatefulSet in k8s.io/kubernetes/pkg/apis/apps/v1."""
    spec = child(stateful_set, "spec")
    fill(spec, replicas=1, revisionHistoryLimit=_REVISIONS, podManagementPolicy="OrderedReady")
    spec.setdefault("serviceName", "")
    fill(child(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    default_template(spec)
    strategy = child(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(child(strategy, "rollingUpdate"), partition=0)
    status = child(stateful_set, "status")
    status.setdefault("replicas", 0)
    status.setdefault("availableReplicas", 0)


def default_daemon_set(daemon_set: Object) -> None:
    """Source: SetDefaults_DaemonSet in k8s.io/kubernetes/pkg/apis/apps/v1."""
    spec = child(daemon_set, "spec")
    fill(spec, revisionHistoryLimit=_REVISIONS)
    default_template(spec)
    strategy = child(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(child(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
    status = child(daemon_set, "status")
    for name in ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"):
        status.setdefault(name, 0)


def default_job_spec(spec: Object) -> None:
    """Source: SetDefaults_Job in k8s.io/kubernetes/pkg/apis/batch/v1."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    fill(
        spec,
        parallelism=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
        podReplacementPolicy="TerminatingOrFailed",
    )
    default_template(spec)


def default_job(job: Object) -> None:
    """The spec's defaults, and the labels by which a job knows its pods."""
    spec = child(job, "spec")
    default_job_spec(spec)
    _label_job(job, spec)
    child(job, "status")


def _label_job(job: Object, spec: Object) -> None:
    """The selector and the labels that tie pods to their job (the strategy's generateSelector)."""
    uid = (job.get("metadata") or {}).get("uid")
    if spec.get("manualSelector") or spec.get("selector") or not uid:
        return
    name = job["metadata"].get("name", "")
    labels = child(child(spec["template"], "metadata"), "labels")
    for key, value in (("controller-uid", uid), ("job-name", name)):
        labels.setdefault(key, value)
        labels.setdefault(f"batch.kubernetes.io/{key}", value)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def default_cron_job(cron_job: Object) -> None:
    """Source: SetDefaults_CronJob in k8s.io/kubernetes/pkg/apis/batch/v1."""
    spec = child(cron_job, "spec")
    fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = child(child(spec, "jobTemplate"), "spec")
    child(spec["jobTemplate"], "metadata")
    default_template(job)
    child(cron_job, "status")


def default_autoscaler(autoscaler: Object) -> None:
    """Source: SetDefaults_HorizontalPodAutoscaler in k8s.io/kubernetes/pkg/apis/autoscaling/v2 (80 % of the CPU)."""
    spec = child(autoscaler, "spec")
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    status = child(autoscaler, "status")
    status.setdefault("desiredReplicas", 0)
    status.setdefault("currentMetrics", None)
