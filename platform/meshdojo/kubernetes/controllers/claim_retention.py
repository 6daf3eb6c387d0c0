"""Whose the claims of a stateful set are: they end with the set, with a pod that is scaled away, or with neither.

Source: pkg/controller/statefulset/stateful_set_utils.go (updateClaimOwnerRefForSetAndPod).
"""

from __future__ import annotations

from collections.abc import Mapping

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.controllers import owners


def owner_of_new(stateful_set: Object) -> Object:
    """What the metadata of a claim that is made for a set says of its owner: nothing, if it is to stay."""
    if _policy(stateful_set, "whenDeleted") == "Retain":
        return {}
    return {"ownerReferences": [owners.controller_reference(stateful_set)]}


def claim_name(template: Object, stateful_set: Object, number: int) -> str:
    """The name of the claim of one template for one pod."""
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{number}"


class ClaimRetention:
    """Writes the ownerReferences of claims that are there."""

    def __init__(self, client: Client, cache: Informer) -> None:
        self._client = client
        self._claims = cache

    async def update(self, stateful_set: Object, pods: Mapping[int, Object], wanted: range) -> None:
        """Of the claims of all pods of a set; those whose numbers are not `wanted` are about to go."""
        for number, pod in pods.items():
            for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
                name = claim_name(template, stateful_set, number)
                claim = self._claims.get(stateful_set["metadata"]["namespace"], name)
                if claim is not None:
                    await self._update(claim, stateful_set, pod, condemned=number not in wanted)

    async def _update(self, claim: Object, stateful_set: Object, pod: Object, *, condemned: bool) -> None:
        ours = {stateful_set["metadata"]["uid"], pod["metadata"]["uid"]}
        before = claim["metadata"].get("ownerReferences") or []
        owner = _owner(stateful_set, pod, condemned=condemned)
        after = [one for one in before if one["uid"] not in ours]
        after += [owners.controller_reference(owner)] if owner else []
        if [one["uid"] for one in after] == [one["uid"] for one in before]:
            return
        metadata = claim["metadata"]
        changed = {"metadata": {"ownerReferences": after or None, "resourceVersion": metadata["resourceVersion"]}}
        try:
            written = await self._client.patch(claims.CLAIMS, metadata["name"], changed, metadata["namespace"])
        except StatusError as error:
            if error.code == 404:
                return
            raise
        self._claims.observe(written)


def _owner(stateful_set: Object, pod: Object, *, condemned: bool) -> Object | None:
    if condemned and _policy(stateful_set, "whenScaled") == "Delete":
        return pod
    return stateful_set if _policy(stateful_set, "whenDeleted") == "Delete" else None


def _policy(stateful_set: Object, when: str) -> str:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(when, "Retain"))
