"""What Envoy refused, made visible where the cause is: Warning events on Istio objects and pods."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timezone
from itertools import count
from typing import Any

from meshdojo.cluster.client import Client
from meshdojo.cluster.errors import ClusterError
from meshdojo.istio.ads import Refusal, short
from meshdojo.istio.configs import KINDS

log = logging.getLogger("ads")
REASON = "ConfigRefused"
_API_VERSIONS = {kind.TYPE.kind: f"{kind.TYPE.group}/{kind.TYPE.storage}" for kind in KINDS}
_SERIAL = count(1)


class RefusalEvents:
    """Writes one event per refused object and reason, and one on the pod of each proxy."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seen: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, refusal: Refusal) -> None:
        refs = {ref for one in refusal.resources for ref in one.origins if ref.partition("/")[0] in _API_VERSIONS}
        refs.add(f"Pod/{refusal.proxy.namespace}/{refusal.proxy.name}")
        names = ", ".join(one.name for one in refusal.resources[:3])
        message = f"proxy {refusal.proxy.id} refused {short(refusal.type_url)} {names}: {refusal.reason}"
        for ref in sorted(refs):
            if (ref, refusal.reason) not in self._seen:
                self._seen.add((ref, refusal.reason))
                task = asyncio.get_running_loop().create_task(self._write(ref, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _write(self, ref: str, message: str) -> None:
        _, namespace, _ = ref.split("/")
        try:
            await self._client.create("events", event(ref, message), namespace)
        except ClusterError as error:
            log.warning("cannot write an event on %s: %s", ref, error)


def event(ref: str, message: str) -> dict[str, Any]:
    """An Event (core/v1) about ``Kind/namespace/name``."""
    kind, namespace, name = ref.split("/")
    now = datetime.now(timezone.utc)  # noqa: UP017
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{int(now.timestamp() * 1e6):x}{next(_SERIAL):x}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": _API_VERSIONS.get(kind, "v1"),
            "kind": kind,
            "namespace": namespace,
            "name": name,
        },
        "reason": REASON,
        "message": message[:1024],
        "type": "Warning",
        "source": {"component": "istiod"},
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
