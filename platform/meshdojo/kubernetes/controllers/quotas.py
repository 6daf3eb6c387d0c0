"""The status of resource quotas: what is used, counted anew whenever something in the namespace comes or goes.

Source: pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections.abc import Callable

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Change, Key
from meshdojo.kubernetes import usage
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself
from meshdojo.kubernetes.controllers.everything import Everything
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.usage import Amounts


class QuotaController(Controller):
    """Keeps `status.hard` and `status.used`. `count` tells what a quota's limits are used for."""

    name = "resource-quota-controller"

    def __init__(self, cluster: Cluster, everything: Everything, count: Callable[[Object], Amounts]) -> None:
        super().__init__(cluster)
        self._count = count
        self.quotas = self.follow("resourcequotas", itself)
        everything.subscribe(self._something_changed)

    def _something_changed(self, resource: Resource, change: Change, old: Object | None, new: Object | None) -> None:
        namespace = ((new or old or {})["metadata"]).get("namespace")
        if namespace and resource.storage != "resourcequotas":
            for quota in self.quotas.items():
                if quota["metadata"]["namespace"] == namespace:
                    self.queue.add((namespace, quota["metadata"]["name"]))

    async def reconcile(self, key: Key) -> None:
        quota = self.quotas.get(*key)
        if quota is None:
            return
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = self._count(quota)
        status = {"hard": hard, "used": {name: usage.text(used.get(name, 0), str(hard[name])) for name in hard}}
        await self.write_status(self.quotas, quota, status)
