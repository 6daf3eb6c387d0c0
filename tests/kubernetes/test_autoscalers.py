"""Autoscalers in both of their versions. What v1 shows of v2 is what a real server showed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import orjson
import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.autoscalers import to_v1, to_v2
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.protobuf import decode
from meshdojo.kubernetes.requests import Options

T = TypeVar("T")
Object = dict[str, Any]
V1, V2 = "horizontalpodautoscalers.v1.autoscaling", "horizontalpodautoscalers.autoscaling"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
ALPHA = "autoscaling.alpha.kubernetes.io"


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def resource(name: str, **target: Any) -> Object:
    return {"type": "Resource", "resource": {"name": name, "target": target}}


CPU = resource("cpu", type="Utilization", averageUtilization=50)
MEMORY = resource("memory", type="Utilization", averageUtilization=60)
CORES = resource("cpu", type="AverageValue", averageValue="500m")


def autoscaler(**spec: Any) -> Object:
    return {"metadata": {"name": "one"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec}}


def test_what_is_made_as_v1_is_stored_as_v2(api: Api) -> None:
    made = run(api.create(V1, autoscaler(targetCPUUtilizationPercentage=70), "default"))
    stored = run(api.get(V2, "one", "default"))
    [listed] = run(api.list(V1, "default")).items

    assert made["apiVersion"] == "autoscaling/v1"
    assert made["spec"] == {**autoscaler(targetCPUUtilizationPercentage=70)["spec"], "minReplicas": 1}
    assert made["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"] == [resource("cpu", type="Utilization", averageUtilization=70)]
    assert listed == made


def test_without_a_target_eighty_percent_are_meant(api: Api) -> None:
    made = run(api.create(V1, autoscaler(), "default"))
    assert made["spec"]["targetCPUUtilizationPercentage"] == 80


def test_the_rules_are_those_of_what_is_stored(api: Api) -> None:
    with pytest.raises(StatusError) as caught:
        run(api.create(V1, autoscaler(minReplicas=0), "default"))
    assert "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1" in caught.value.message


def test_fields_of_the_other_version_are_unknown(api: Api) -> None:
    with pytest.raises(StatusError) as caught:
        run(api.create(V1, autoscaler(metrics=[CPU]), "default", options=Options(field_validation="Strict")))
    assert 'unknown field "spec.metrics"' in caught.value.message


def test_a_patch_is_in_the_version_that_was_asked_for(api: Api) -> None:
    run(api.create(V2, autoscaler(metrics=[MEMORY, CPU]), "default"))

    changed = run(api.patch(V1, "one", {"spec": {"targetCPUUtilizationPercentage": 20}}, "default"))
    stored = run(api.get(V2, "one", "default"))

    assert changed["spec"]["targetCPUUtilizationPercentage"] == 20
    assert stored["spec"]["metrics"] == [resource("cpu", type="Utilization", averageUtilization=20), MEMORY]
    assert "annotations" not in stored["metadata"]


def test_what_v1_has_no_field_for_stands_in_annotations(api: Api) -> None:
    behavior = {
        "scaleDown": {
            "stabilizationWindowSeconds": 10,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        }
    }
    made = autoscaler(metrics=[MEMORY, CPU, CORES], behavior=behavior)
    run(api.create(V2, {**made, "metadata": {"name": "one", "annotations": {"a": "b"}}}, "default"))

    annotations = run(api.get(V1, "one", "default"))["metadata"]["annotations"]

    assert annotations["a"] == "b"
    assert orjson.loads(annotations[f"{ALPHA}/metrics"]) == [
        {"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 60}},
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": "500m"}},
    ]
    assert orjson.loads(annotations[f"{ALPHA}/behavior"]) == {
        "ScaleDown": {
            "StabilizationWindowSeconds": 10,
            "SelectPolicy": "Max",
            "Policies": [{"Type": "Percent", "Value": 100, "PeriodSeconds": 15}],
            "Tolerance": None,
        }
    }


SELECTED = {"name": "requests", "selector": {"matchLabels": {"a": "b"}}}
SOURCES = [
    CPU,
    MEMORY,
    CORES,
    {"type": "Pods", "pods": {"metric": SELECTED, "target": {"type": "AverageValue", "averageValue": "1k"}}},
    {
        "type": "Object",
        "object": {"describedObject": TARGET, "metric": SELECTED, "target": {"type": "Value", "value": "10"}},
    },
    {
        "type": "Object",
        "object": {
            "describedObject": TARGET,
            "metric": {"name": "requests"},
            "target": {"type": "AverageValue", "averageValue": "10"},
        },
    },
    {"type": "External", "external": {"metric": SELECTED, "target": {"type": "Value", "value": "30"}}},
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "web",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
]


@pytest.mark.parametrize("metric", SOURCES, ids=lambda metric: str(metric["type"]))
def test_nothing_is_lost_on_the_way_there_and_back(metric: Object) -> None:
    [source] = [value for name, value in metric.items() if name != "type"]
    amounts = {name: value for name, value in source["target"].items() if name != "type"}
    current = {name: value for name, value in source.items() if name != "target"} | {"current": amounts}
    field = next(name for name in metric if name != "type")
    status = {
        "currentReplicas": 1,
        "desiredReplicas": 2,
        "currentMetrics": [{"type": metric["type"], field: current}],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    }
    spec = {**autoscaler()["spec"], "metrics": [metric]}
    whole = {"apiVersion": "autoscaling/v2", "metadata": {"name": "one"}, "spec": spec, "status": status}
    assert to_v2(to_v1(whole)) == whole


@pytest.mark.parametrize("text", ["", "{", "5", "{}", "[5]", '[{"type": "Nosuch"}]', '[{"type": "Pods", "pods": 5}]'])
def test_annotations_that_cannot_be_read_are_dropped(text: str) -> None:
    annotations = {f"{ALPHA}/{name}": text for name in ("metrics", "behavior", "conditions", "current-metrics")}
    old = {**autoscaler(targetCPUUtilizationPercentage=50), "metadata": {"name": "one", "annotations": annotations}}
    assert to_v2(old)["spec"] == {**autoscaler()["spec"], "metrics": [CPU]}
    assert to_v2(old)["metadata"] == {"name": "one"}


def test_kubectl_autoscale_of_older_versions_sends_protobuf() -> None:
    """kubectl 1.32 and 1.33 make autoscaling/v1; field 4 of its spec is a number, of v2's a list."""
    reference = b"\n\x03web"  # field 1 of a CrossVersionObjectReference is the kind, which does for this
    spec = b"\n" + bytes([len(reference)]) + reference + b"\x10\x01\x18\x03\x20\x32"
    raw = b"\n\x05\n\x03one" + b"\x12" + bytes([len(spec)]) + spec + b"\x1a\x04\x10\x00\x18\x00"
    meta = b"\n\x0eautoscaling/v1\x12\x17HorizontalPodAutoscaler"
    unknown = b"\n" + bytes([len(meta)]) + meta + b"\x12" + bytes([len(raw)]) + raw
    found = decode(b"k8s\x00" + unknown)
    assert found["spec"] == {
        "scaleTargetRef": {"kind": "web"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
    }
