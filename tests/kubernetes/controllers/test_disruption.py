"""Disruption budgets: their status, and evictions that they do not allow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshdojo.cluster.informer import Informers
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.controllers.controller import Cluster
from meshdojo.kubernetes.controllers.disruption import DisruptionController
from meshdojo.kubernetes.controllers.events import Events
from meshdojo.kubernetes.errors import StatusError

Object = dict[str, Any]
BUDGETS = "poddisruptionbudgets.policy"
LABELS = {"app": "kept"}
SECONDS = 30


async def pod(api: Api, name: str, *, ready: bool = True) -> None:
    spec = {"containers": [{"name": "c", "image": "x"}], "nodeName": "n"}
    await api.create("pods", {"metadata": {"name": name, "labels": LABELS}, "spec": spec}, "default")
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"phase": "Running", "conditions": [condition]}
    await api.patch("pods", name, {"status": status}, "default", subresource="status")


async def budget(api: Api, **spec: Any) -> None:
    obj = {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": LABELS}, **spec}}
    await api.create(BUDGETS, obj, "default")


async def until(api: Api, **wanted: int) -> Object:
    async with asyncio.timeout(SECONDS):
        async for event in api.watch(BUDGETS, "default"):
            status: Object = event.object.get("status") or {}
            if all(status.get(name) == value for name, value in wanted.items()) and "conditions" in status:
                return status
    raise AssertionError("unreachable")


async def evict(api: Api, name: str) -> None:
    await api.create("pods", {"metadata": {"name": name}}, "default", subresource="eviction", name=name)


class Running:
    def __init__(self, api: Api) -> None:
        self.informers = Informers(api)
        self.controller = DisruptionController(Cluster(api, self.informers, Events(api)))

    async def __aenter__(self) -> None:
        await self.informers.start()
        self.controller.start()

    async def __aexit__(self, *_: object) -> None:
        await self.controller.stop()
        await self.informers.stop()


def test_a_budget_follows_its_pods_and_stops_evictions(api: Api) -> None:
    async def scenario() -> None:
        async with Running(api):
            await budget(api, minAvailable=1)
            empty = await until(api, expectedPods=0)
            assert empty["conditions"][0]["reason"] == "InsufficientPods"
            await pod(api, "a")
            await pod(api, "b")
            status = await until(api, currentHealthy=2)
            assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (1, 1)
            await evict(api, "a")
            with pytest.raises(StatusError) as raised:
                await evict(api, "b")
            assert raised.value.code == 429
            assert raised.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
            cause = (raised.value.details or {})["causes"][0]
            assert cause["reason"] == "DisruptionBudget"
            assert cause["message"].startswith("The disruption budget b needs 1 healthy pods and has ")
            await until(api, currentHealthy=1, disruptionsAllowed=0)

    asyncio.run(scenario())


def test_pods_that_are_not_healthy_may_go_while_enough_are(api: Api) -> None:
    async def scenario() -> None:
        async with Running(api):
            await budget(api, minAvailable=1)
            await pod(api, "well")
            await pod(api, "ill", ready=False)
            await until(api, currentHealthy=1, expectedPods=2)
            await evict(api, "ill")
            with pytest.raises(StatusError, match="disruption budget"):
                await evict(api, "well")

    asyncio.run(scenario())


def test_a_share_of_what_the_workload_should_have(api: Api) -> None:
    async def scenario() -> None:
        async with Running(api):
            await budget(api, maxUnavailable="50%")
            for name in ("a", "b", "c"):
                await pod(api, name)
            status = await until(api, expectedPods=3, currentHealthy=3)
            assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (1, 2)

    asyncio.run(scenario())


def test_two_budgets_for_one_pod_are_too_many(api: Api) -> None:
    async def scenario() -> None:
        await pod(api, "a")
        await budget(api, minAvailable=1)
        obj = {"metadata": {"name": "c"}, "spec": {"selector": {"matchLabels": LABELS}, "minAvailable": 1}}
        await api.create(BUDGETS, obj, "default")
        with pytest.raises(StatusError, match="more than one PodDisruptionBudget"):
            await evict(api, "a")

    asyncio.run(scenario())


def test_a_budget_that_nobody_has_looked_at_yet_allows_nothing(api: Api) -> None:
    async def scenario() -> None:
        await pod(api, "a")
        await budget(api, minAvailable=0)
        with pytest.raises(StatusError) as raised:
            await evict(api, "a")
        assert "still being processed" in str(raised.value.details)

    asyncio.run(scenario())
