"""Events are forgotten after an hour, as the real API server does (``--event-ttl``)."""

from __future__ import annotations

from datetime import UTC, datetime

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.timestamps import parse

TTL_SECONDS = 3600.0


class EventTTL(Controller):
    """Deletes each event an hour after its last write."""

    name = "event-ttl-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.events = self.follow("events", itself)

    async def reconcile(self, key: Key) -> None:
        event = self.events.get(*key)
        if event is None:
            return
        left = TTL_SECONDS - _age(event)
        if left > 0:
            self.queue.add_after(key, left)
            return
        try:
            await self.client.delete("events", key[1], key[0], uid=event["metadata"]["uid"])
        except StatusError as error:
            if error.code != 404:
                raise


def _age(event: Object) -> float:
    last = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return (datetime.now(UTC) - parse(last)).total_seconds()
