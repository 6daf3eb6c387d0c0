"""Events are counted, combined, and forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.timestamps import now

if TYPE_CHECKING:
    from tests.kubernetes.controllers.conftest import World

pytestmark = pytest.mark.anyio


async def involved(world: World) -> Object:
    return await world.until("configmaps", "kube-root-ca.crt", lambda _: True)


async def events(world: World) -> list[Object]:
    await world.controllers.events.written()
    return (await world.api.list("events", "default", fields="involvedObject.kind=ConfigMap")).items


async def test_an_event_names_its_object_and_source(world: World) -> None:
    obj = await involved(world)
    world.controllers.events.recorder("kubelet", "meshdojo").warning(obj, "Failed", "Error: x", "spec.containers{a}")
    (event,) = await events(world)
    metadata = obj["metadata"]
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": metadata["name"],
        "namespace": "default",
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
        "fieldPath": "spec.containers{a}",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Warning", "Failed", "Error: x", 1)
    assert event["source"] == {"component": "kubelet", "host": "meshdojo"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "meshdojo")
    assert event["metadata"]["name"].startswith("kube-root-ca.crt.")


async def test_equal_events_are_counted(world: World) -> None:
    obj, recorder = await involved(world), world.controllers.events.recorder("test")
    for _ in range(3):
        recorder.normal(obj, "Pulled", "the same")
    recorder.normal(obj, "Pulled", "another")
    found = {event["message"]: event["count"] for event in await events(world)}
    assert found == {"the same": 3, "another": 1}


async def test_an_event_that_was_deleted_is_made_anew(world: World) -> None:
    obj, recorder = await involved(world), world.controllers.events.recorder("test")
    recorder.normal(obj, "Pulled", "the same")
    (event,) = await events(world)
    await world.api.delete("events", event["metadata"]["name"], "default")
    recorder.normal(obj, "Pulled", "the same")
    (again,) = await events(world)
    assert again["count"] == 1


async def test_many_similar_events_become_one(world: World) -> None:
    obj, recorder = await involved(world), world.controllers.events.recorder("test")
    for number in range(14):
        recorder.normal(obj, "Created", f"pod {number}")
    found = {event["message"]: event["count"] for event in await events(world)}
    assert len(found) == 10
    assert found["(combined from similar events): pod 13"] == 5


async def test_events_are_forgotten_after_an_hour(world: World) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "old"},
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"},
        "lastTimestamp": now(-3700),
    }
    await world.api.create("events", event, "default")
    fresh = {**event, "metadata": {"name": "fresh"}, "lastTimestamp": now()}
    await world.api.create("events", fresh, "default")
    await world.gone("events", "old")
    assert await world.api.get("events", "fresh", "default")
