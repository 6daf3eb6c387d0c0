"""What a pod gets from the classes that it names, and that it may name none that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError

CLASSES = "priorityclasses.scheduling.k8s.io"


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def pod(api: Api, name: str = "web", **spec: Any) -> Any:
    spec["containers"] = [{"name": "app", "image": "x"}]
    return run(api.create("pods", {"metadata": {"name": name}, "spec": spec}, "default"))["spec"]


def refusal(api: Api, **spec: Any) -> str:
    with pytest.raises(StatusError) as caught:
        pod(api, **spec)
    assert caught.value.code == 403
    return caught.value.message


def priority_class(api: Api, name: str, value: int, **more: Any) -> Any:
    return run(api.create(CLASSES, {"metadata": {"name": name}, "value": value, **more}))


def test_a_pod_has_the_priority_of_its_class(api: Api) -> None:
    priority_class(api, "high", 1000, preemptionPolicy="Never")

    found = pod(api, priorityClassName="high")

    assert (found["priority"], found["preemptionPolicy"]) == (1000, "Never")
    assert pod(api, "critical", priorityClassName="system-node-critical")["priority"] == 2_000_001_000


def test_a_pod_without_a_class_has_that_of_all_pods_if_there_is_one(api: Api) -> None:
    none = pod(api, "before")
    priority_class(api, "usual", 7, globalDefault=True)
    usual = pod(api, "after")

    assert (none["priority"], none.get("priorityClassName")) == (0, None)
    assert (usual["priority"], usual["priorityClassName"]) == (7, "usual")


def test_classes_that_are_not_there_are_refused(api: Api) -> None:
    assert refusal(api, priorityClassName="none") == (
        'pods "web" is forbidden: no PriorityClass with name none was found'
    )
    assert refusal(api, runtimeClassName="none") == (
        'pods "web" is forbidden: pod rejected: RuntimeClass "none" not found'
    )
    assert "must not be provided in pod spec" in refusal(api, priority=5)

    run(api.create("runtimeclasses.node.k8s.io", {"metadata": {"name": "there"}, "handler": "h"}))
    assert pod(api, runtimeClassName="there")["runtimeClassName"] == "there"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("system-mine", 1, "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved"),
        ("huge", 1_000_000_001, "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    ],
)
def test_priorities_that_cannot_be(api: Api, name: str, value: int, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        priority_class(api, name, value)

    assert words in caught.value.message


def test_the_value_of_a_class_stays(api: Api) -> None:
    priority_class(api, "high", 1000)

    with pytest.raises(StatusError) as caught:
        run(api.patch(CLASSES, "high", {"value": 5}))

    assert caught.value.message.endswith("value: Forbidden: may not be changed in an update.")
