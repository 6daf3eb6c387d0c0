"""A cluster in process for the controllers: the real API, the real controllers, and a kubelet that only pretends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.controllers.manager import Controllers
from meshdojo.kubernetes.controllers.nodes import NodeFacts
from meshdojo.kubernetes.store import Store
from meshdojo.kubernetes.timestamps import now
from meshdojo.network import Block

PATIENCE = 30.0
BROKEN = "broken"  # pods of this image never become ready
ENDINGS = {"succeeds": "Succeeded", "fails": "Failed"}  # pods of these images end at once


class FakeKubelet:
    """Makes bound pods ready at once and lets deleted ones go, as fast as the event loop can.

    Pods named in `stubborn` do not stop until `release` is called.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._addresses = 0
        self.stubborn = False

    async def run(self) -> None:
        async for event in self._api.watch("pods"):
            if event.type != "DELETED":
                await self._follow(event.object)

    async def release(self) -> None:
        """Let all pods go that are being deleted, now and from now on."""
        self.stubborn = False
        for pod in (await self._api.list("pods")).items:
            if pod["metadata"].get("deletionTimestamp"):
                await self._follow(pod)

    async def _follow(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            if metadata.get("deletionTimestamp"):
                if not self.stubborn:
                    await self._api.delete("pods", metadata["name"], metadata["namespace"], grace_seconds=0)
            elif pod["spec"].get("nodeName") and not pod["status"].get("podIP"):
                await self._run_pod(pod)
        except StatusError as error:
            if error.code not in (404, 409):
                raise

    async def _run_pod(self, pod: Object) -> None:
        self._addresses += 1
        image = pod["spec"]["containers"][0]["image"]
        ready = "False" if image == BROKEN or image in ENDINGS else "True"
        conditions = [
            *pod["status"].get("conditions", []),
            {"type": "Ready", "status": ready, "lastTransitionTime": now()},
        ]
        phase = ENDINGS.get(image, "Running")
        status = {"phase": phase, "podIP": f"127.64.1.{self._addresses}", "conditions": conditions}
        metadata = pod["metadata"]
        await self._api.patch("pods", metadata["name"], {"status": status}, metadata["namespace"], subresource="status")


class World:
    """What a test works with."""

    def __init__(self, api: Api, controllers: Controllers, kubelet: FakeKubelet) -> None:
        self.api = api
        self.controllers = controllers
        self.kubelet = kubelet

    async def until(
        self, resource: str, name: str, predicate: Callable[[Object], Any], namespace: str | None = "default"
    ) -> Object:
        """Wait for the object to satisfy `predicate`, and return it."""
        async with asyncio.timeout(PATIENCE):
            async for event in self.api.watch(resource, namespace, fields=f"metadata.name={name}"):
                if event.type != "DELETED" and predicate(event.object):
                    return event.object
        raise AssertionError("the watch ended")

    async def until_all(
        self, resource: str, predicate: Callable[[list[Object]], Any], namespace: str | None = "default"
    ) -> list[Object]:
        """Wait for the list of all objects to satisfy `predicate`, and return it."""
        async with asyncio.timeout(PATIENCE):
            listed = await self.api.list(resource, namespace)
            if predicate(listed.items):
                return listed.items
            async for _ in self.api.watch(resource, namespace, since=listed.resource_version):
                items = (await self.api.list(resource, namespace)).items
                if predicate(items):
                    return items
        raise AssertionError("the watch ended")

    async def gone(self, resource: str, name: str, namespace: str | None = "default") -> None:
        """Wait for the object to be gone."""
        await self.until_all(resource, lambda items: all(one["metadata"]["name"] != name for one in items), namespace)

    async def settle(self) -> None:
        """Wait until no controller has anything left to do now, and every event is written."""
        while True:
            before = self.api.store.revision
            for _ in range(10):  # let watches deliver
                await asyncio.sleep(0)
            for controller in self.controllers.controllers:
                await controller.queue.idle()
            await self.controllers.events.written()
            if self.api.store.revision == before:
                return

    async def messages(self, kind: str, namespace: str = "default") -> list[str]:
        """ "REASON: MESSAGE" of all events about objects of this kind, in the order in which they were made."""
        await self.settle()
        events = (await self.api.list("events", namespace)).items
        events.sort(key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))
        return [f"{event['reason']}: {event['message']}" for event in events if event["involvedObject"]["kind"] == kind]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    api = Api(Store(), Block(0))
    await bootstrap(api, host="127.64.0.1", port=6443)
    node = NodeFacts("meshdojo", "127.64.0.1", "v1.34.4")
    async with Controllers(api, node=node, ca="-----BEGIN CERTIFICATE-----", volumes=tmp_path) as controllers:
        kubelet = FakeKubelet(api)
        task = asyncio.create_task(kubelet.run())
        try:
            yield World(api, controllers, kubelet)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def deployment() -> Callable[..., Object]:
    """Builds a deployment ``web`` of this image; further keywords go into its spec."""

    def build(image: str = "one", replicas: int = 2, **spec: Any) -> Object:
        container = {"name": "app", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
        template = {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [container]},
        }
        selector = {"matchLabels": {"app": "web"}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": selector, "template": template, **spec},
        }

    return build


@pytest.fixture
def things() -> Object:
    """A CRD of a namespaced kind Thing (things.example.com) with any content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
