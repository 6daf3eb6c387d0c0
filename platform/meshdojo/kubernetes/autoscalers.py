"""HorizontalPodAutoscalers of autoscaling/v1, which know one target, as those of autoscaling/v2, and back.

Objects are stored as v2. What v1 has no fields for stands in annotations there, as at the real server.
Source: k8s.io/kubernetes/pkg/apis/autoscaling/v1/conversion.go, and the answers of a real server.
"""

from __future__ import annotations

from typing import Any

import orjson

from meshdojo.cluster.client import Object

STORAGE = "horizontalpodautoscalers.autoscaling"

_ANNOTATION = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR = f"{_ANNOTATION}metrics", f"{_ANNOTATION}behavior"
_CURRENT, _CONDITIONS = f"{_ANNOTATION}current-metrics", f"{_ANNOTATION}conditions"
# Types of metrics and their field.
_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
# Amounts in a v2 target, and how v1 calls them behind "target" or "current": of an Object the average has another name.
_AMOUNTS = {"averageUtilization": "AverageUtilization", "averageValue": "AverageValue", "value": "Value"}
# What kind of target one with this amount is.
_TARGETS = {"averageUtilization": "Utilization", "averageValue": "AverageValue"}
_BEHAVIOR_FIELDS = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")


def to_v1(autoscaler: Object) -> Object:
    """An autoscaling/v2 object as autoscaling/v1 shows it."""
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    first, others = _first_cpu(spec.get("metrics") or [])
    annotations: dict[str, str] = {}
    if others:
        annotations[_METRICS] = _json([_old_metric(one, "target") for one in others])
    if spec.get("behavior"):
        annotations[_BEHAVIOR] = _json({_upper(name): _go_rules(rules) for name, rules in spec["behavior"].items()})
    if status.get("currentMetrics"):
        annotations[_CURRENT] = _json([_old_metric(one, "current") for one in status["currentMetrics"]])
    if status.get("conditions"):
        annotations[_CONDITIONS] = _json(status["conditions"])
    old_spec = {name: value for name, value in spec.items() if name not in ("metrics", "behavior")}
    old_status = {name: value for name, value in status.items() if name not in ("currentMetrics", "conditions")}
    if first is not None:
        old_spec["targetCPUUtilizationPercentage"] = first["resource"]["target"]["averageUtilization"]
    used = _cpu_used(status.get("currentMetrics") or [])
    if used is not None:
        old_status["currentCPUUtilizationPercentage"] = used
    shown = {"currentReplicas": 0, "desiredReplicas": 0, **old_status}
    return {**_annotated(autoscaler, annotations), "apiVersion": "autoscaling/v1", "spec": old_spec, "status": shown}


def to_v2(autoscaler: Object) -> Object:
    """An autoscaling/v1 object as it is stored. Annotations that cannot be read are dropped, as by the real server."""
    annotations = (autoscaler.get("metadata") or {}).get("annotations") or {}
    spec = dict(autoscaler.get("spec") or {})
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = _new_metrics(annotations.get(_METRICS), "target")
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    behavior = _parsed(annotations.get(_BEHAVIOR), dict)
    if behavior:
        spec["behavior"] = {_lower(name): _plain(rules) for name, rules in behavior.items() if rules}
    converted = {**_annotated(autoscaler, {}), "apiVersion": "autoscaling/v2", "spec": spec}
    if "status" in autoscaler:
        converted["status"] = _new_status(autoscaler["status"] or {}, annotations)
    return converted


def _new_status(old: Object, annotations: Object) -> Object:
    status = {name: value for name, value in old.items() if name != "currentCPUUtilizationPercentage"}
    metrics = _new_metrics(annotations.get(_CURRENT), "current")
    conditions = _parsed(annotations.get(_CONDITIONS), list)
    return (
        status | ({"currentMetrics": metrics} if metrics else {}) | ({"conditions": conditions} if conditions else {})
    )


def _first_cpu(metrics: list[Any]) -> tuple[Object | None, list[Any]]:
    """(the metric that v1 has a field for, all others)."""
    for position, metric in enumerate(metrics):
        target = (metric.get("resource") or {}).get("target") or {}
        if _is_cpu(metric) and target.get("averageUtilization") is not None:
            return metric, [*metrics[:position], *metrics[position + 1 :]]
    return None, metrics


def _is_cpu(metric: Any) -> bool:
    return metric.get("type") == "Resource" and (metric.get("resource") or {}).get("name") == "cpu"


def _cpu_used(metrics: list[Any]) -> int | None:
    used = [one["resource"].get("current", {}).get("averageUtilization") for one in metrics if _is_cpu(one)]
    return next((value for value in used if value is not None), None)


def _annotated(obj: Object, annotations: dict[str, str]) -> Object:
    """`obj` with these annotations of the conversion's and no others of them."""
    metadata = obj.get("metadata") or {}
    kept = {name: text for name, text in (metadata.get("annotations") or {}).items() if name not in _OURS}
    rest = {name: value for name, value in metadata.items() if name != "annotations"}
    together = {**kept, **annotations}
    return {**obj, "metadata": {**rest, "annotations": together} if together else rest}


_OURS = (_METRICS, _BEHAVIOR, _CURRENT, _CONDITIONS)


def _old_metric(metric: Any, amount: str) -> Object:
    """A MetricSpec ("target") or MetricStatus ("current") of v2 as v1 writes it."""
    field = _SOURCES.get(metric.get("type", ""), "")
    source = metric.get(field) or {}
    old: Object = {}
    if "describedObject" in source:
        old["target"] = source["describedObject"]
    if "metric" in source:
        named = "metricSelector" if field == "external" else "selector"
        old |= {"metricName": source["metric"].get("name", "")}
        old |= {named: source["metric"]["selector"]} if source["metric"].get("selector") else {}
    old |= {name: source[name] for name in ("name", "container") if name in source}
    amounts = source.get(amount) or {}
    old |= {_old_amount(field, amount, name): amounts[name] for name in _AMOUNTS if name in amounts}
    return {"type": metric.get("type", ""), field: old}


def _old_amount(field: str, amount: str, name: str) -> str:
    return "averageValue" if field == "object" and name == "averageValue" else f"{amount}{_AMOUNTS[name]}"


def _new_metrics(text: Any, amount: str) -> list[Any]:
    """The metrics in an annotation."""
    return [metric for one in _parsed(text, list) if (metric := _new_metric(one, amount))]


def _new_metric(metric: Any, amount: str) -> Object | None:
    """A MetricSpec ("target") or MetricStatus ("current") of v1 as v2 writes it; None for what is none."""
    field = _SOURCES.get(metric.get("type", ""), "") if isinstance(metric, dict) else ""
    old = metric.get(field) if field else None
    if not isinstance(old, dict):
        return None
    amounts = {name: old[key] for name in _AMOUNTS if (key := _old_amount(field, amount, name)) in old}
    if amount == "target":
        kind = next((kind for name, kind in _TARGETS.items() if name in amounts), "Value")
        amounts = {"type": kind, **amounts}
    new: Object = {name: old[name] for name in ("name", "container") if name in old}
    if "target" in old:
        new["describedObject"] = old["target"]
    if "metricName" in old:
        selector = old.get("selector") or old.get("metricSelector")
        new["metric"] = {"name": old["metricName"], **({"selector": selector} if selector else {})}
    return {"type": metric["type"], field: {**new, amount: amounts}}


def _go_rules(rules: Any) -> Object:
    """Scaling rules as Go writes a struct without names for JSON."""
    policies = [{_upper(name): value for name, value in one.items()} for one in rules.get("policies") or []]
    known = {**dict.fromkeys(_BEHAVIOR_FIELDS), **rules, "policies": policies}
    return {_upper(name): known[name] for name in _BEHAVIOR_FIELDS}


def _plain(rules: Any) -> Any:
    """The way back: names begin in lower case, and what is null is left out."""
    if isinstance(rules, list):
        return [_plain(one) for one in rules]
    if not isinstance(rules, dict):
        return rules
    return {_lower(name): _plain(value) for name, value in rules.items() if value is not None}


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _parsed(text: Any, kind: type[Any]) -> Any:
    """The JSON of an annotation; an empty one when it is of another type or none at all."""
    try:
        value = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, kind) else kind()
