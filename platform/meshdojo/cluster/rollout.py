"""When a Deployment runs as its object says: what ``kubectl rollout status`` waits for."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdojo.cluster.client import Object
    from meshdojo.cluster.http import HTTPClient

_COUNTS = ("replicas", "updatedReplicas", "availableReplicas")


def is_complete(deployment: Object) -> bool:
    """Whether all replicas run the latest template and are available, and no old one is left."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(current and all(status.get(count, 0) == wanted for count in _COUNTS))


async def completed(client: HTTPClient, namespace: str, name: str) -> None:
    """Return once the rollout of this Deployment is complete. Waits without end, also for one that is not there yet.

    Raises `errors.ClusterError` as `Client.watch` does. Callers bound it in time (``asyncio.timeout``) and say what
    is late.
    """
    while True:
        events = client.watch("deployments.apps", namespace, fields=f"metadata.name={name}")
        async with aclosing(events) as stream:
            async for event in stream:
                if event.type in ("ADDED", "MODIFIED") and is_complete(event.object):
                    return
