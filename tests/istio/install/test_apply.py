"""Installing, against a double of the API that remembers what was applied and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from meshdojo.cluster.client import ObjectList, WatchEvent
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.install.apply import NotReady, install
from meshdojo.istio.install.options import load
from meshdojo.istio.install.uninstall import uninstall

JSON = dict[str, Any]
READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


class Cluster:
    """Deployments become ready at once, unless they are `broken`."""

    def __init__(self, broken: str = "", refused: str = "") -> None:
        self.applied: list[JSON] = []
        self.deleted: list[str] = []
        self._broken = broken
        self._refused = refused
        self.validators: dict[str, JSON] = {}
        self.watched: list[tuple[str, str, int]] = []
        self.gone: set[str] = set()

    async def apply(self, one: JSON, *, field_manager: str) -> None:
        await asyncio.sleep(0)
        if one["metadata"]["name"] == self._refused:
            raise StatusError(403, "Forbidden", f"{self._refused} is forbidden")
        self.applied.append(one)

    async def get(self, resource: str, name: str, namespace: str | None = None) -> JSON:
        if resource.startswith("validating") and name in self.validators:
            return self.validators[name]
        if resource == "deployments.apps":
            return {"spec": {"selector": {"matchLabels": {"app": name}}}}
        raise StatusError(404, "NotFound", f"{name} not found")

    async def list(self, resource: str, namespace: str | None = None, *, labels: str = "") -> ObjectList:
        if resource == "pods" and "operator.istio.io" not in labels:
            waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
            status = {"containerStatuses": [{"state": {"waiting": waiting}}]}
            return ObjectList([{"metadata": {"name": "istiod-1"}, "status": status}], "1")
        if resource == "services":
            names = ("istiod", "old-gateway")
            return ObjectList([{"metadata": {"name": name, "namespace": "istio-system"}} for name in names], "1")
        if resource.startswith("custom"):
            return ObjectList([{"metadata": {"name": "gateways.networking.istio.io"}}], "1")
        return ObjectList([], "1")

    async def watch(self, resource: str, namespace: str, *, fields: str) -> AsyncGenerator[WatchEvent, None]:
        name = fields.partition("=")[2]
        self.watched.append((resource, name, len(self.applied)))
        status = {} if name == self._broken else READY
        yield WatchEvent(
            "ADDED", {"metadata": {"name": name, "generation": 1}, "spec": {"replicas": 1}, "status": status}
        )
        if name == self._broken:
            await asyncio.Event().wait()

    async def delete(self, resource: str, name: str, namespace: str | None, *, propagation: str) -> None:
        if name in self.gone:
            raise StatusError(404, "NotFound", f"{name} not found")
        self.deleted.append(f"{resource}/{name}")

    @property
    def discovery(self) -> Cluster:
        return self

    async def resource(self, name: str) -> Any:
        from meshdojo.cluster.resources import Resource

        plural, _, group = name.partition(".")
        return Resource(group, "v1", plural, {"services": "Service"}.get(plural, plural), True)


def client(cluster: Cluster) -> HTTPClient:
    return cast(HTTPClient, cluster)


def test_everything_is_applied_in_an_order_that_works() -> None:
    cluster = Cluster()
    reported: list[str] = []
    asyncio.run(
        install(client(cluster), load(["profile=demo"]), lambda part, done: reported.append(f"{part.name}{'!' * done}"))
    )
    kinds = [one["kind"] for one in cluster.applied]
    assert kinds[0] == "Namespace"
    first_pod = kinds.index("Deployment")
    assert {"ServiceAccount", "ConfigMap", "Service", "CustomResourceDefinition"} <= set(kinds[:first_pod])
    assert not {"ServiceAccount", "ConfigMap", "Service", "CustomResourceDefinition"} & set(kinds[first_pod:])
    assert [(resource, name) for resource, name, _ in cluster.watched[:2]] == [
        ("deployments.apps", "istiod"),
        ("configmaps", "istio-ca-root-cert"),
    ]
    assert [one["metadata"]["name"] for one in cluster.applied[cluster.watched[1][2] :]] == [
        "istio-ingressgateway",
        "istio-egressgateway",
    ]
    parts = ("Istio core", "Istiod", "Ingress gateways", "Egress gateways")
    assert reported == [word for part in parts for word in (part, f"{part}!")]


def test_everything_that_is_installed_carries_the_labels_by_which_it_is_found_again() -> None:
    cluster = Cluster()
    asyncio.run(install(client(cluster), load(["profile=demo"])))
    objects = [one for one in cluster.applied if one["kind"] != "Namespace"]
    assert all(one["metadata"]["labels"]["operator.istio.io/managed"] == "Reconcile" for one in objects)
    components = {one["metadata"]["labels"]["operator.istio.io/component"] for one in objects}
    assert components == {"Base", "Pilot", "IngressGateways", "EgressGateways"}


def test_installing_again_keeps_the_webhook_closed() -> None:
    cluster = Cluster()
    name = "istiod-default-validator"
    cluster.validators[name] = {"webhooks": [{"name": "validation.istio.io", "failurePolicy": "Fail"}]}
    asyncio.run(install(client(cluster), load(["profile=minimal"])))
    applied = {one["metadata"]["name"]: one for one in cluster.applied}
    assert applied[name]["webhooks"][0]["failurePolicy"] == "Fail"
    assert applied["istio-validator-istio-system"]["webhooks"][0]["failurePolicy"] == "Ignore"


def test_what_does_not_become_ready_says_why() -> None:
    with pytest.raises(NotReady) as caught:
        asyncio.run(install(client(Cluster(broken="istiod")), load(["profile=minimal"]), seconds=0.01))
    text = str(caught.value)
    assert text.startswith("Deployment/istio-system/istiod is not ready after ")
    assert text.endswith("; pod istiod-1: ImagePullBackOff: no such image")


def test_a_refusal_of_the_api_is_passed_on() -> None:
    with pytest.raises(StatusError, match="istiod is forbidden"):
        asyncio.run(install(client(Cluster(refused="istiod")), load(["profile=minimal"])))


def test_uninstall_reports_what_was_there() -> None:
    cluster = Cluster()
    lines: list[str] = []
    count = asyncio.run(uninstall(client(cluster), report=lines.append))
    assert count == 3
    assert cluster.deleted == [
        "services/istiod",
        "services/old-gateway",
        "customresourcedefinitions.apiextensions.k8s.io/gateways.networking.istio.io",
    ]
    assert lines[0] == "  Removed /v1, Kind=Service/istiod.istio-system."


def test_uninstall_goes_on_when_an_object_went_by_itself() -> None:
    cluster = Cluster()
    cluster.gone.add("istiod")
    lines: list[str] = []
    asyncio.run(uninstall(client(cluster), report=lines.append))
    gone = "object: /v1, Kind=Service/istiod.istio-system is not being deleted because it no longer exists"
    assert lines[0] == gone
    assert len(lines) == 3


def test_uninstall_of_a_revision_leaves_the_crds() -> None:
    cluster = Cluster()
    asyncio.run(uninstall(client(cluster), "canary"))
    assert cluster.deleted == ["services/istiod", "services/old-gateway"]


def test_installing_again_removes_what_is_no_longer_wanted() -> None:
    cluster = Cluster()
    lines: list[str] = []
    asyncio.run(install(client(cluster), load(["profile=demo"]), pruned=lines.append))
    assert cluster.deleted == ["services/old-gateway"]
    assert lines == ["  Removed /v1, Kind=Service/old-gateway.istio-system."]
