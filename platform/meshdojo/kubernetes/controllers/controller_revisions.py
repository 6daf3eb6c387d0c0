"""ControllerRevisions: the history of the templates of stateful sets and daemon sets.

Source: ``k8s.io/kubernetes/pkg/controller/history``.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubernetes.controllers import owners
from meshdojo.kubernetes.controllers.revisions import template_hash

RESOURCE = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"


@dataclass(frozen=True)
class History:
    """The revisions of one workload's template, the oldest first."""

    client: Client
    informer: Informer
    hash_label: str = HASH_LABEL

    def of(self, owner: Object) -> list[Object]:
        """The revisions that `owner` controls, oldest first."""
        mine = self.informer.indexed(owners.BY_OWNER, owner["metadata"]["uid"])
        return sorted(mine, key=lambda one: int(one["revision"]))

    async def current(self, owner: Object) -> Object:
        """The revision that holds the owner's template: made, or made the latest again, if need be."""
        data = {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}
        history = self.of(owner)
        latest = int(history[-1]["revision"]) if history else 0
        for one in history:
            if one["data"] == data:
                return one if int(one["revision"]) == latest else await self._renumber(one, latest + 1)
        return await self._create(owner, data, latest + 1)

    async def forget(self, owner: Object, kept: set[str]) -> None:
        """Delete the oldest revisions beyond the owner's limit, but none that is named in `kept`."""
        unused = [one for one in self.of(owner) if one["metadata"]["name"] not in kept]
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        for one in unused[: max(0, len(unused) - limit)]:
            metadata = one["metadata"]
            try:
                await self.client.delete(RESOURCE, metadata["name"], metadata["namespace"], uid=metadata["uid"])
            except StatusError as error:
                if error.code != 404:
                    raise

    async def _renumber(self, revision: Object, number: int) -> Object:
        metadata = revision["metadata"]
        written = await self.client.patch(RESOURCE, metadata["name"], {"revision": number}, metadata["namespace"])
        self.informer.observe(written)
        return written

    async def _create(self, owner: Object, data: Object, number: int) -> Object:
        metadata = owner["metadata"]
        digest = template_hash(owner["spec"]["template"])
        labels = {**(owner["spec"]["template"]["metadata"].get("labels") or {}), self.hash_label: digest}
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "labels": labels,
                "annotations": metadata.get("annotations") or {},
                "ownerReferences": [owners.controller_reference(owner)],
            },
            "data": data,
            "revision": number,
        }
        made = await self.client.create(RESOURCE, revision, metadata["namespace"])
        self.informer.observe(made)
        return made
