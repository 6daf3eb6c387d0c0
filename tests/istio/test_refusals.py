from __future__ import annotations

import asyncio
from typing import Any, cast

from meshdojo.cluster.client import Client
from meshdojo.istio.ads import Refusal
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.refusals import REASON, RefusalEvents
from meshdojo.istio.resource import RDS, Resource

PROXY = Proxy("sidecar", "127.64.1.1", "web-1", "fleet")


class Recorder:
    """A client that keeps what is created."""

    def __init__(self) -> None:
        self.created: list[tuple[str, dict[str, Any]]] = []

    async def create(self, resource: str, obj: dict[str, Any], namespace: str) -> dict[str, Any]:
        self.created.append((namespace, obj))
        return obj


def recorded(*refusals: Refusal) -> list[tuple[str, dict[str, Any]]]:
    client = Recorder()

    async def run() -> None:
        events = RefusalEvents(cast(Client, client))
        for refusal in refusals:
            events(refusal)
        await asyncio.gather(*(one for one in asyncio.all_tasks() if one is not asyncio.current_task()))

    asyncio.run(run())
    return client.created


def refusal(reason: str = "missing )", *origins: str) -> Refusal:
    resource = Resource("8080", "1", None, origins or ("VirtualService/shop/web", "Service/shop/web"))
    return Refusal(PROXY, RDS, reason, (resource,))


def test_the_object_and_the_pod_get_a_warning_with_the_reason() -> None:
    created = recorded(refusal())
    about = {(where, one["involvedObject"]["kind"], one["involvedObject"]["name"]) for where, one in created}
    assert about == {("shop", "VirtualService", "web"), ("fleet", "Pod", "web-1")}
    for _, event in created:
        assert (event["type"], event["reason"]) == ("Warning", REASON)
        assert event["message"] == "proxy web-1.fleet refused RDS 8080: missing )"


def test_the_same_reason_is_told_once() -> None:
    assert len(recorded(refusal(), refusal())) == 2
    assert len(recorded(refusal(), refusal("other"))) == 4
