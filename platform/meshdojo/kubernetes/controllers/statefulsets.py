"""StatefulSets: pods with an identity (``web-0``, ``web-1``), started and stopped in order.

Source: ``k8s.io/kubernetes/pkg/controller/statefulset``. What becomes of their claims: `claim_retention`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Key, key_of
from meshdojo.kubernetes.claims import CLAIMS
from meshdojo.kubernetes.controllers import owners, pod_status
from meshdojo.kubernetes.controllers.claim_retention import ClaimRetention, claim_name, owner_of_new
from meshdojo.kubernetes.controllers.controller import Cluster, Controller, itself, namespace_is_going
from meshdojo.kubernetes.controllers.controller_revisions import HASH_LABEL, RESOURCE, History
from meshdojo.kubernetes.controllers.pod_control import BURST, pod_from_template

INDEX_LABEL = "apps.kubernetes.io/pod-index"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"


class StatefulSetController(Controller):
    """Creates, replaces and deletes pods one by one (all at once with podManagementPolicy Parallel)."""

    name = "statefulset-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.sets = self.follow("statefulsets.apps", itself)
        self.pods = self.follow("pods", _set_of)
        self.revisions = self.informers.of(RESOURCE)
        owners.index(self.pods)
        owners.index(self.revisions)
        self.retention = ClaimRetention(self.client, self.informers.of(CLAIMS))
        # The revision label of a stateful set's history differs from that of its pods.
        self.history = History(self.client, self.revisions, "controller.kubernetes.io/hash")

    async def reconcile(self, key: Key) -> None:
        stateful_set = self.sets.get(*key)
        if stateful_set is None or stateful_set["metadata"].get("deletionTimestamp"):
            return
        update = (await self.history.current(stateful_set))["metadata"]["name"]
        current = (stateful_set.get("status") or {}).get("currentRevision") or update
        failure: StatusError | None = None
        try:
            await self._step(stateful_set, current, update)
        except StatusError as error:
            failure = None if namespace_is_going(error) else error
        status = self._status(key, stateful_set, current, update)
        await self.write_status(self.sets, stateful_set, status)
        await self.history.forget(stateful_set, {current, update})
        if failure is not None:
            raise failure

    def _pods(self, stateful_set: Object) -> dict[int, Object]:
        mine = self.pods.indexed(owners.BY_OWNER, stateful_set["metadata"]["uid"])
        return {ordinal(pod): pod for pod in sorted(mine, key=ordinal)}

    async def _step(self, stateful_set: Object, current: str, update: str) -> None:
        """What can be done now; with OrderedReady no more than one pod is touched at a time."""
        pods = self._pods(stateful_set)
        parallel = stateful_set["spec"].get("podManagementPolicy") == "Parallel"
        first, replicas = _start(stateful_set), stateful_set["spec"].get("replicas", 1)
        wanted = range(first, first + replicas)
        await self.retention.update(stateful_set, pods, wanted)
        made = 0
        for number in wanted:
            if made == BURST:
                self.queue.add(key_of(stateful_set))
                return
            pod = pods.get(number)
            if pod is None:
                await self._create(stateful_set, number, _revision_for(stateful_set, number, current, update))
                await asyncio.sleep(0)  # everybody else gets a turn
                made += 1
            elif pod_status.is_terminal(pod) and not pod["metadata"].get("deletionTimestamp"):
                await self._delete(stateful_set, pod)
            if not parallel and (pod is None or not _settled(pod)):
                return
        superfluous = [pod for number, pod in reversed(pods.items()) if number not in wanted]
        for pod in superfluous:
            await self._delete(stateful_set, pod)
            if not parallel:
                return
        if not superfluous:
            await self._update(stateful_set, pods, update)

    async def _update(self, stateful_set: Object, pods: dict[int, Object], update: str) -> None:
        """Replace the last pod that has an old template, once all behind it are ready again."""
        strategy = stateful_set["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            return
        partition = _start(stateful_set) + (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for number, pod in reversed(pods.items()):
            if number < partition:
                return
            if pod["metadata"]["labels"].get(HASH_LABEL) != update:
                await self._delete(stateful_set, pod)
                return
            if not _settled(pod):
                return

    async def _create(self, stateful_set: Object, number: int, revision: str) -> None:
        metadata = stateful_set["metadata"]
        pod = _pod(stateful_set, number, revision, self.revisions.get(metadata["namespace"], revision))
        name = pod["metadata"]["name"]
        await self._claim_volumes(stateful_set, number)
        try:
            made = await self.client.create("pods", pod, metadata["namespace"])
        except StatusError as error:
            words = f"create Pod {name} in StatefulSet {metadata['name']} failed error: {error.message}"
            if not namespace_is_going(error):
                self.recorder.warning(stateful_set, "FailedCreate", words)
            raise
        self.pods.observe(made)
        words = f"create Pod {name} in StatefulSet {metadata['name']} successful"
        self.recorder.normal(stateful_set, "SuccessfulCreate", words)

    async def _claim_volumes(self, stateful_set: Object, number: int) -> None:
        metadata = stateful_set["metadata"]
        for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
            name = claim_name(template, stateful_set, number)
            labels = stateful_set["spec"]["selector"].get("matchLabels") or {}
            made = {"name": name, "labels": labels, **owner_of_new(stateful_set)}
            claim = {**template, "metadata": {**template["metadata"], **made}}
            pod = f"{metadata['name']}-{number}"
            words = f"create Claim {name} Pod {pod} in StatefulSet {metadata['name']}"
            try:
                await self.client.create(CLAIMS, claim, metadata["namespace"])
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    self.recorder.warning(stateful_set, "FailedCreate", f"{words} failed error: {error.message}")
                    raise
            else:
                self.recorder.normal(stateful_set, "SuccessfulCreate", f"{words} success")

    async def _delete(self, stateful_set: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        try:
            answer = await self.client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except StatusError as error:
            if error.code in (404, 409):
                return
            raise
        if answer.get("kind") == "Pod" and answer["metadata"].get("deletionTimestamp"):
            self.pods.observe(answer)
        words = f"delete Pod {metadata['name']} in StatefulSet {stateful_set['metadata']['name']} successful"
        self.recorder.normal(stateful_set, "SuccessfulDelete", words)

    def _status(self, key: Key, stateful_set: Object, current: str, update: str) -> Object:
        pods = list(self._pods(stateful_set).values())
        active = [pod for pod in pods if pod_status.is_active(pod)]
        wait = stateful_set["spec"].get("minReadySeconds", 0)
        waits = [left for pod in active if (left := pod_status.seconds_until_available(pod, wait)) is not None]
        if pending := [left for left in waits if left > 0]:
            self.queue.add_after(key, min(pending) + 0.01)
        updated = sum(pod["metadata"]["labels"].get(HASH_LABEL) == update for pod in active)
        replicas = stateful_set["spec"].get("replicas", 1)
        if updated == replicas == len(pods) == len(waits):
            current = update
        counts = {
            "currentReplicas": sum(pod["metadata"]["labels"].get(HASH_LABEL) == current for pod in active),
            "readyReplicas": len(waits),
            "updatedReplicas": updated,
        }
        return {
            "availableReplicas": sum(left <= 0 for left in waits),
            "collisionCount": 0,
            "currentRevision": current,
            "observedGeneration": stateful_set["metadata"]["generation"],
            "replicas": len(pods),
            "updateRevision": update,
            **{name: count for name, count in counts.items() if count},
        }


def ordinal(pod: Object) -> int:
    """The number at the end of a pod's name."""
    number = pod["metadata"]["name"].rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _set_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    for pod in (old, new):
        owner = owners.controller_of(pod) if pod else None
        if pod and owner and owner["kind"] == "StatefulSet":
            yield pod["metadata"]["namespace"], owner["name"]


def _settled(pod: Object) -> bool:
    return pod_status.is_active(pod) and pod_status.is_ready(pod)


def _start(stateful_set: Object) -> int:
    return int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))


def _revision_for(stateful_set: Object, number: int, current: str, update: str) -> str:
    """A pod below the partition that has to be made anew keeps the old template."""
    rolling = (stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return current if number < _start(stateful_set) + rolling.get("partition", 0) else update


def _pod(stateful_set: Object, number: int, revision: str, stored: Object | None) -> Object:
    template = stored["data"]["spec"]["template"] if stored else stateful_set["spec"]["template"]
    template = {name: value for name, value in template.items() if name != "$patch"}
    name = f"{stateful_set['metadata']['name']}-{number}"
    pod = copy.deepcopy(pod_from_template({**stateful_set, "spec": {**stateful_set["spec"], "template": template}}))
    pod["metadata"]["name"] = name
    pod["metadata"].setdefault("labels", {}).update(
        {INDEX_LABEL: str(number), HASH_LABEL: revision, NAME_LABEL: name},
    )
    spec = pod["spec"]
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    for claim in stateful_set["spec"].get("volumeClaimTemplates") or ():
        volume = claim["metadata"]["name"]
        source = {"name": volume, "persistentVolumeClaim": {"claimName": f"{volume}-{name}"}}
        spec["volumes"] = [*(one for one in spec.get("volumes") or () if one["name"] != volume), source]
    return pod
