"""Checks of deployments, replica sets, stateful sets, daemon sets, jobs, cron jobs, autoscalers, disruption budgets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import (
    check_choice,
    check_format,
    check_not_negative,
    check_required,
    check_selector,
    go_struct,
)
from meshdojo.kubernetes.schema.validation.metadata import check_immutable
from meshdojo.kubernetes.schema.validation.pods import check_template
from meshdojo.kubernetes.selectors import LabelSelector

_MISMATCH = "`selector` does not match template `labels`"
_CRON_FIELDS = 5
_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED_SET = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_CONCURRENCY = ("Allow", "Forbid", "Replace")


def check_deployment(deployment: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateDeployment."""
    spec = deployment.get("spec") or {}
    yield from check_not_negative("spec.replicas", spec.get("replicas"))
    yield from _check_selector_and_template(spec, "deployment")
    yield from _check_strategy("spec.strategy", spec.get("strategy") or {})
    ready = spec.get("minReadySeconds", 0)
    yield from check_not_negative("spec.minReadySeconds", ready)
    yield from check_not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from check_not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= ready:
            yield FieldError.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from _check_same_selector(spec, old)


def check_replica_set(replica_set: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateReplicaSet."""
    spec = replica_set.get("spec") or {}
    yield from check_not_negative("spec.replicas", spec.get("replicas"))
    yield from check_not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _check_selector_and_template(spec, "deployment")
    yield from _check_same_selector(spec, old)


def check_replication_controller(controller: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateReplicationController. Its selector is a map of labels."""
    spec = controller.get("spec") or {}
    yield from check_not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from check_not_negative("spec.replicas", spec.get("replicas"))
    labels = spec.get("selector")
    selector = {"matchLabels": labels} if labels else None
    yield from _check_selector_and_template({**spec, "selector": selector}, "replicationcontroller")


def check_stateful_set(stateful_set: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateStatefulSet."""
    spec = stateful_set.get("spec") or {}
    yield from check_not_negative("spec.replicas", spec.get("replicas"))
    yield from check_not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    claimed = [(claim.get("metadata") or {}).get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    yield from _check_selector_and_template(spec, "statefulset", claimed=claimed)
    if old is not None and _fixed(spec) != _fixed(old.get("spec") or {}):
        yield FieldError.forbidden("spec", _FIXED_SET)


def _fixed(spec: Object) -> Object:
    """What a stateful set keeps for ever. Source: ValidateStatefulSetUpdate."""
    return {field: value for field, value in spec.items() if field not in _CHANGEABLE}


def check_daemon_set(daemon_set: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateDaemonSet."""
    spec = daemon_set.get("spec") or {}
    yield from _check_selector_and_template(spec, "daemonset", selector_required=False)
    yield from check_not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _check_same_selector(spec, old)


def check_job(job: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateJob. The pod template of a job cannot be changed."""
    spec = job.get("spec") or {}
    yield from _check_job_spec("spec", spec)
    if old is not None:
        was = old.get("spec") or {}
        for name in ("completions", "selector", "template", "completionMode"):
            if name != "template" or not was.get("suspend"):
                yield from check_immutable(f"spec.{name}", spec.get(name), was.get(name))


def check_cron_job(cron_job: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateCronJob."""
    spec = cron_job.get("spec") or {}
    schedule = spec.get("schedule", "")
    if not schedule:
        yield FieldError.required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != _CRON_FIELDS:
        found = schedule.split()
        words = f"expected exactly {_CRON_FIELDS} fields, found {len(found)}: [{' '.join(found)}]"
        yield FieldError.invalid("spec.schedule", schedule, words)
    yield from check_not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    yield from check_choice("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), _CONCURRENCY)
    yield from _check_job_spec("spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {})


def check_autoscaler(autoscaler: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateHorizontalPodAutoscaler."""
    spec = autoscaler.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield FieldError.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield FieldError.invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield FieldError.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for name in ("kind", "name"):
        yield from check_required(f"spec.scaleTargetRef.{name}", target.get(name))
    if not target.get("apiVersion"):
        yield FieldError.invalid("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group")


def check_disruption_budget(budget: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidatePodDisruptionBudget."""
    spec = budget.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {"MinAvailable": spec["minAvailable"], "Selector": spec.get("selector")}
        shown |= {"MaxUnavailable": spec["maxUnavailable"], "UnhealthyPodEvictionPolicy": None}
        words = f"Invalid value: {go_struct(shown)}: minAvailable and maxUnavailable cannot be both set"
        yield FieldError("spec", "FieldValueInvalid", words)
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            yield from _check_amount(f"spec.{name}", spec[name])
    yield from check_selector("spec.selector", spec.get("selector") or {})


def _check_selector_and_template(
    spec: Object, kind: str, *, selector_required: bool = True, claimed: Collection[str] = ()
) -> Iterator[FieldError]:
    selector = spec.get("selector")
    wrong = list(check_selector("spec.selector", selector or {}))
    if selector is None:
        if selector_required:
            yield FieldError.required("spec.selector")
    else:
        yield from wrong
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield FieldError.invalid("spec.selector", {}, f"empty selector is invalid for {kind}")
    if wrong:
        # What the template must match is not known then.
        yield FieldError.invalid("spec.selector", selector, "invalid label selector")
        return
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    if selector is None or not LabelSelector.from_object(selector).matches_labels(labels or {}):
        yield FieldError.invalid("spec.template.metadata.labels", labels, _MISMATCH)
    yield from check_template("spec.template", template, claimed)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        yield FieldError.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def _check_same_selector(spec: Object, old: Object | None) -> Iterator[FieldError]:
    if old is not None:
        yield from check_immutable("spec.selector", spec.get("selector"), (old.get("spec") or {}).get("selector"))


def _check_strategy(path: str, strategy: Object) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            words = "may not be specified when strategy `type` is 'Recreate'"
            yield FieldError.forbidden(f"{path}.rollingUpdate", words)
    elif kind == "RollingUpdate":
        yield from _check_rolling(f"{path}.rollingUpdate", rolling or {})
    else:
        shown = go_struct({"Type": kind, "RollingUpdate": None})
        words = f'Unsupported value: {shown}: supported values: "Recreate", "RollingUpdate"'
        yield FieldError(path, "FieldValueNotSupported", words)


def _check_rolling(path: str, rolling: Object) -> Iterator[FieldError]:
    surge, unavailable = rolling.get("maxSurge", 0), rolling.get("maxUnavailable", 0)
    # The real server looks at maxUnavailable first, and says what is wrong with the percentages afterwards.
    yield from _check_amount(f"{path}.maxUnavailable", unavailable)
    yield from _check_amount(f"{path}.maxSurge", surge)
    if _is_zero(surge) and _is_zero(unavailable):
        yield FieldError.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    if isinstance(unavailable, str) and unavailable[:-1].isdecimal() and int(unavailable[:-1]) > 100:
        yield FieldError.invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")


def _check_amount(path: str, value: int | str) -> Iterator[FieldError]:
    yield from check_format(path, value, names.percent_or_count)


def _is_zero(value: int | str) -> bool:
    return value in (0, "0%")


def _check_job_spec(path: str, spec: Object) -> Iterator[FieldError]:
    for name in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
        yield from check_not_negative(f"{path}.{name}", spec.get(name))
    template = spec.get("template") or {}
    yield from check_template(f"{path}.template", template)
    if (template.get("spec") or {}).get("restartPolicy") not in ("OnFailure", "Never"):
        words = 'valid values: "OnFailure", "Never"'
        yield FieldError.required(f"{path}.template.spec.restartPolicy", words)
