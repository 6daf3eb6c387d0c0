"""`Discovery`: the cluster's informers feed a `State`, each change becomes a snapshot that the proxies get.

There is no debounce: all changes of one turn of the event loop make one snapshot, which is handed over at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Change, Informers
from meshdojo.istio import ads
from meshdojo.istio.ca import CertificateAuthority
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.state import State
from meshdojo.istio.translation.translator import Cache, Translation

log = logging.getLogger("ads")
# After a laptop's sleep certificates may have expired: looked at often.
RENEWAL_ROUND = timedelta(seconds=5)
_BUILT_IN = ("services", "endpointslices.discovery.k8s.io", "pods", "secrets")


class Discovery:
    """Keeps `server` supplied with the present state of the cluster. `mesh` is the name of the mesh config map."""

    def __init__(
        self,
        informers: Informers,
        authority: CertificateAuthority,
        namespace: str,
        mesh: str,
        on_refusal: Callable[[ads.Refusal], None] | None = None,
    ) -> None:
        self.snapshot = Snapshot()
        self._state = State()
        self._authority = authority
        self._cache = Cache()
        self._mesh = (namespace, mesh)
        self._due = False
        self._live = False
        self._task: asyncio.Task[None] | None = None
        self.server = ads.Server(self._translation(), on_refusal)
        for resource in self._state.resources:
            informers.of(resource, optional=resource not in _BUILT_IN).subscribe(self._callback(resource))
        informers.of("configmaps", namespace).subscribe(self._config_map)

    def start(self) -> None:
        """Begin to publish; the informers have synced."""
        self._live = True
        self._publish()
        self._task = asyncio.create_task(self._renew(), name="certificate renewal")

    async def stop(self) -> None:
        """Publish nothing any more. Streams keep what they have."""
        self._live = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _callback(self, resource: str) -> Callable[[Change, Object | None, Object | None], None]:
        def apply(change: Change, old: Object | None, new: Object | None) -> None:
            self._state.apply(resource, old, new)
            self._changed()

        return apply

    def _config_map(self, change: Change, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        if (obj["metadata"]["namespace"], obj["metadata"]["name"]) != self._mesh:
            return
        self._state.set_mesh(((new or {}).get("data") or {}).get("mesh", ""))
        self._changed()

    def _changed(self) -> None:
        if self._live and not self._due and self._state.changed:
            self._due = True
            asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._due = False
        if not self._live:
            return
        self.snapshot = self._state.snapshot()
        self._cache.age()
        self.server.publish(self._translation())

    def _translation(self) -> Translation:
        return Translation(self.snapshot, self._authority, self._cache)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_ROUND.total_seconds())
            if self._authority.any_due():
                log.info("renewing workload certificates")
                self.server.publish(self._translation())
