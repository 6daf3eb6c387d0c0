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
    def __init__(self, objects: dict[str, list[tuple[str, str]]]) -> None:
        self._objects = objects

    async def list(self, resource: str, namespace: str | None = None) -> ObjectList:
        if resource.endswith("istio.io"):
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        found = self._objects.get(resource, [])
        return ObjectList([{"metadata": {"namespace": where, "name": name}} for where, name in found], "1")


async def taken(**objects: Any) -> frozenset[inventory.Key]:
    return await inventory.take(Cluster(objects))  # type: ignore[arg-type]


async def test_what_a_lab_left_behind_is_named() -> None:
    before = await taken(namespaces=[("", "default")])
    after = await taken(namespaces=[("", "default"), ("", "fleet")], services=[("fleet", "web")])
    assert inventory.words(after - before) == "namespaces fleet, services fleet/web"


async def test_what_comes_and_goes_by_itself_does_not_count() -> None:
    assert await taken(pods=[("kube-system", "coredns"), ("meshdojo-probe", "probe-1")]) == frozenset()
    assert await taken(namespaces=[("", "meshdojo-probe"), ("", "meshdojo-outside")]) == frozenset()
