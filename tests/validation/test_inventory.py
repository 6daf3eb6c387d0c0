from __future__ import annotations

from typing import Any

import pytest

from meshdojo.cluster.client import ObjectList
from meshdojo.cluster.errors import StatusError
from meshdojo.validation import inventory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Cluster:
    """`objects` are (namespace, name) by resource; meshdojo made the namespaces `ours`."""

    def __init__(self, objects: dict[str, list[tuple[str, str]]], ours: tuple[str, ...] = ()) -> None:
        self._objects = objects
        self._ours = ours

    async def list(self, resource: str, namespace: str | None = None) -> ObjectList:
        if resource.endswith("istio.io"):
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        found = self._objects.get(resource, [])
        return ObjectList([{"metadata": self._metadata(*one)} for one in found], "1")

    def _metadata(self, namespace: str, name: str) -> dict[str, Any]:
        labels = {"app.kubernetes.io/managed-by": "meshdojo"} if name in self._ours else {}
        return {"namespace": namespace, "name": name, "labels": labels}


async def taken(**objects: Any) -> frozenset[inventory.Key]:
    return await inventory.take(Cluster(objects))  # type: ignore[arg-type]


async def test_what_a_lab_left_behind_is_named() -> None:
    before = await taken(namespaces=[("", "default")])
    after = await taken(namespaces=[("", "default"), ("", "fleet")], services=[("fleet", "web")])
    assert inventory.words(after - before) == "namespaces fleet, services fleet/web"


async def test_on_a_cluster_of_somebody_elses_only_what_is_ours_counts() -> None:
    objects = {
        "namespaces": [("", "default"), ("", "fleet"), ("", "theirs")],
        "services": [("default", "kubernetes"), ("fleet", "web"), ("theirs", "web")],
        "mutatingwebhookconfigurations.admissionregistration.k8s.io": [("", "theirs")],
    }
    found = await inventory.take(Cluster(objects, ours=("fleet",)), owned=False)  # type: ignore[arg-type]
    assert inventory.words(found) == "namespaces fleet, services fleet/web"


async def test_what_comes_and_goes_by_itself_does_not_count() -> None:
    assert await taken(pods=[("kube-system", "coredns"), ("meshdojo-probe", "probe-1")]) == frozenset()
    assert await taken(namespaces=[("", "meshdojo-probe"), ("", "meshdojo-outside")]) == frozenset()
