"""Brings the namespaces of a lab to a wanted state by changing only what differs.

What is right stays as it is, pods above all: they take seconds to start, an object takes milliseconds. In this order:
namespaces (their labels decide what becomes of a pod), what is too much, what is missing or changed, pods; then it
waits until the controllers have followed. It can be interrupted anywhere: the next one finds what is left to do.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from meshdojo.backends.base import BackendError, Progress
from meshdojo.backends.namespaces import delete_namespaces, require_managed
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.cluster.rollout import is_complete
from meshdojo.validation import difference
from meshdojo.validation.state import (
    DEFAULT,
    DEFAULT_NAMESPACE,
    DEPLOYMENTS,
    EMPTY,
    ISTIO_SYSTEM,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    REVISION,
    Key,
    Live,
    Pod,
    State,
    controller_of,
    is_automatic,
    is_going,
    is_of_default,
    look,
    look_again,
    pod_of,
)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "meshdojo"
READY_SECONDS = 180.0
# Long enough for a proxy to say good-bye; nobody's requests are under way.
GRACE_SECONDS = 1
ATTEMPTS = 5
POLL_SECONDS, PATIENCE, LONGEST_POLL_SECONDS, SELDOM = 0.05, 1.3, 0.3, 8
# Pods whose label of injection came a moment too late are made once more, and no more often than this.
ROUNDS = 3
_WORKLOADS = frozenset({DEPLOYMENTS, "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch", PODS})
Item = TypeVar("Item")


@dataclass(frozen=True)
class Wanted:
    """What is to be there.

    `exact`: objects whose whole form is known, `normalised`. `manifests`: how to make what is not there; an object of
    which only the manifest is known is replaced by it, fields that the manifest leaves out fall back to their defaults.
    `before`: the state that `exact` is from; its pods stay where they still are what they were, and what it has of the
    namespace `default` stays there. `fresh`: Deployments
    (namespace, name) whose pods are replaced in any case, as they keep something in memory. `owned`: the cluster is
    ours alone, so that Istio's configuration in istio-system may go too. `whole`: pods of `before` that nothing would
    replace are part of what is wanted.
    """

    exact: Mapping[Key, Object]
    manifests: Mapping[Key, Object]
    before: State | None
    fresh: frozenset[tuple[str, str]] = frozenset()
    owned: bool = True
    whole: bool = False

    @property
    def keys(self) -> set[Key]:
        """Everything that is wanted, by resource, namespace and name."""
        return {*self.exact, *self.manifests}

    @property
    def namespaces(self) -> set[str]:
        """The wanted namespaces, by name."""
        return {key.name for key in self.keys if key.resource == NAMESPACES} - {DEFAULT}


class Refused(BackendError):
    """The cluster does not take an object that is wanted."""

    def __init__(self, key: Key, error: StatusError) -> None:
        super().__init__(f"the cluster refuses {key}: {error.message}")
        self.key = key


class CannotRestore(BackendError):
    """Something that is missing cannot be made again from what is known of it."""


async def restore(client: HTTPClient, wanted: Wanted, progress: Progress) -> State:
    """Make it so, and return the state that was reached.

    Raises CannotRestore before anything is changed, BackendError, ClusterError.
    """
    known = wanted.before.namespaces if wanted.before else {}
    work = _Work(client, wanted, await look(client, known, everywhere=wanted.owned))
    if wanted.whole:
        work.require_bare_pods()
    await work.namespaces()
    await work.objects()
    if work.done:
        progress(f"putting back {work.summary}")
    await work.pods()
    changed = work.done or work.deleted
    live = await settled(client, wanted, await work.look() if changed else work.live)
    for _ in range(ROUNDS):
        if not (odd := _injected_otherwise(wanted, live.state)):
            break
        await _each(work.delete_pod, odd)
        live = await settled(client, wanted, await work.look())
    return await without_old_replica_sets(client, wanted, live)


@dataclass
class _Work:
    client: HTTPClient
    wanted: Wanted
    live: Live
    done: list[Key] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    stale: list[Pod] = field(default_factory=list)
    rolling: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        before, now = self.wanted.before, self.live.state
        self.stale = [
            pod for pod in now.pods if before is None or difference.changed(pod, before.pod(pod.uid), before, now)
        ]

    async def look(self, known: Mapping[str, str] = EMPTY) -> Live:
        """What there is now, of the kinds that there were."""
        return await look(self.client, known, self.live.kinds, everywhere=self.wanted.owned)

    def require_bare_pods(self) -> None:
        """Raises CannotRestore when a pod is lost that nothing would make again."""
        right = {pod.uid for pod in self.live.state.pods} - {pod.uid for pod in self.stale}
        for pod in self.wanted.before.pods if self.wanted.before else ():
            key = Key(PODS, pod.namespace, pod.name)
            if not pod.controller and pod.uid not in right and key not in self.wanted.manifests:
                raise CannotRestore(f"{key} is not what it was, and nothing is known that would make it again")

    @property
    def summary(self) -> str:
        return ", ".join(str(key) for key in self.done[:4]) + (" …" if len(self.done) > 4 else "")

    async def namespaces(self) -> None:
        """Those of other labs go, those of this one get their labels back, or are made."""
        await require_managed(self.client, self.wanted.namespaces - self._present())
        going = {key.name for key, obj in self.live.raw.items() if key.resource == NAMESPACES and is_going(obj)}
        if too_many := (self._present() - self.wanted.namespaces) | going:
            self.done += [Key(NAMESPACES, "", name) for name in sorted(too_many)]
            await delete_namespaces(self.client, tuple(sorted(too_many)))
            self.live = await self.look(self.live.state.namespaces)
        await _each(self._put_or_make, (key for key in self.wanted.keys if key.resource == NAMESPACES))

    def _present(self) -> set[str]:
        return {key.name for key in self.live.raw if key.resource == NAMESPACES} - {DEFAULT}

    async def objects(self) -> None:
        """What is too much goes; what is missing or not as it was is put back."""
        keys = {key for key in self.wanted.keys if key.resource != NAMESPACES}
        extra = [key for key in self.live.state.objects if key not in self.wanted.keys and self._may_go(key)]
        await _each(self._delete, extra)
        await _each(self._put_or_make, (key for key in keys if key.resource not in _WORKLOADS))
        await _each(self._put_or_make, (key for key in keys if key.resource in _WORKLOADS))

    def _may_go(self, key: Key) -> bool:
        if key.resource == NAMESPACES or is_automatic(key):
            return False
        if is_of_default(key):  # only what came since
            before = self.wanted.before
            return self.wanted.owned and before is not None and before.knows_default and key not in before.objects
        if key.namespace == ISTIO_SYSTEM and not self.wanted.owned:
            return self._labels(key).get(MANAGED_LABEL) == MANAGED_VALUE
        return key.namespace in self.wanted.namespaces or key.namespace == ISTIO_SYSTEM

    def _labels(self, key: Key) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.live.raw[key]["metadata"].get("labels") or {}
        return labels

    async def _delete(self, key: Key) -> None:
        self.done.append(key)
        await _absent(self.client, key, self.live.raw[key]["metadata"]["uid"])

    async def _put_or_make(self, key: Key) -> None:
        try:
            await self._change(key)
        except StatusError as error:
            raise Refused(key, error) from error

    async def _change(self, key: Key) -> None:
        raw, exact = self.live.raw.get(key), self.wanted.exact.get(key)
        if key.resource == PODS:
            await self._bare_pod(key)
        elif raw is None:
            if is_automatic(key) or key == DEFAULT_NAMESPACE:
                return
            self.done.append(key)
            await self._make(key)
        elif exact is None or exact != self.live.state.objects.get(key):
            self.done.append(key)
            await self._put(key, raw, exact or self.wanted.manifests[key])

    async def _bare_pod(self, key: Key) -> None:
        """A pod that no controller keeps: nearly nothing of it can be changed, so it is made anew."""
        if raw := self.live.raw.get(key):
            if not any(pod.uid == raw["metadata"]["uid"] for pod in self.stale) and not is_going(raw):
                return
            await _absent(self.client, key, raw["metadata"]["uid"])
        self.done.append(key)
        await self._make(key)

    async def _make(self, key: Key) -> None:
        if manifest := self.wanted.manifests.get(key):
            await self.client.apply(as_kubectl_would(manifest), field_manager=MANAGER)
        else:
            await self.client.create(key.resource, self.wanted.exact[key], key.namespace or None)
        self._rolls(key)

    async def _put(self, key: Key, raw: Object, form: Object) -> None:
        """Replace the whole object: what somebody added to it is gone afterwards."""
        if key not in self.wanted.exact:
            form = as_kubectl_would(form)
        for _ in range(ATTEMPTS):
            try:
                await self.client.update(key.resource, _replacement(form, raw), key.namespace or None)
                break
            except StatusError as error:
                if error.code == 422:  # a field that cannot be changed any more
                    await _absent(self.client, key, raw["metadata"]["uid"])
                    await self._make(key)
                    return
                if error.code != 409:
                    raise
                raw = await self.client.get(key.resource, key.name, key.namespace or None)
        else:
            raise BackendError(f"{key} is being changed by somebody else all the time")
        if key.resource == DEPLOYMENTS and raw["spec"]["template"] != form["spec"]["template"]:
            self._rolls(key)

    def _rolls(self, key: Key) -> None:
        if key.resource == DEPLOYMENTS:
            self.rolling.add((key.namespace, key.name))

    async def pods(self) -> None:
        """Delete the pods that are not those of the wanted state; a rollout under way replaces its own."""
        await _each(self.delete_pod, (pod for pod in self.stale if self._is_unwanted(pod)))
        for namespace, name in sorted(self.wanted.fresh - self.rolling):
            pods = await _pods_of(self.client, namespace, name)
            await _each(self.delete_pod, (pod for pod in pods if pod.uid not in self.deleted))

    def _is_unwanted(self, pod: Pod) -> bool:
        if pod.namespace not in self.wanted.namespaces:
            return False
        if not pod.controller:
            return Key(PODS, pod.namespace, pod.name) not in self.wanted.keys
        kind, _, name = pod.controller.partition("/")
        return kind != "Deployment" or (pod.namespace, name) not in self.rolling

    async def delete_pod(self, pod: Pod) -> None:
        self.deleted.add(pod.uid)
        await _delete(self.client, Key(PODS, pod.namespace, pod.name), pod.uid)


async def without_old_replica_sets(client: HTTPClient, wanted: Wanted, live: Live) -> State:
    """Delete those of a learner's rollouts: 'kubectl rollout undo' must not lead back to them."""
    kept = wanted.before.replica_sets if wanted.before else frozenset()
    current = {
        (key.namespace, key.name): _revision(obj) for key, obj in live.raw.items() if key.resource == DEPLOYMENTS
    }
    old = [
        (key, obj["metadata"]["uid"])
        for key, obj in live.raw.items()
        if key.resource == REPLICA_SETS
        and not is_of_default(key)
        and obj["metadata"]["uid"] not in kept
        and not obj["spec"].get("replicas")
        and (owner := controller_of(obj))
        and _revision(obj) != current.get((key.namespace, owner["name"]))
    ]
    await _each(lambda one: _delete(client, *one), old)
    return replace(live.state, replica_sets=live.state.replica_sets - {uid for _, uid in old})


def _revision(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(REVISION, ""))


def _injected_otherwise(wanted: Wanted, reached: State) -> list[Pod]:
    """New pods that did not become what those of the same Deployment were.

    The API server's webhooks may see a namespace's labels some moments after they were changed.
    """
    if wanted.before is None or wanted.before.istiod != reached.istiod:
        return []
    shape = {(pod.namespace, pod.controller): pod.containers for pod in wanted.before.pods}
    return [
        pod
        for pod in reached.pods
        if Key(DEPLOYMENTS, pod.namespace, pod.controller.partition("/")[2]) in wanted.exact
        and shape.get((pod.namespace, pod.controller), pod.containers) != pod.containers
    ]


async def settled(client: HTTPClient, wanted: Wanted, live: Live) -> Live:
    """Wait until the controllers have followed: rollouts complete, pods ready, nothing on its way out.

    `live`: what there is, as far as it is known.
    """
    late, pause, only = [], POLL_SECONDS, frozenset[str]()
    try:
        async with asyncio.timeout(READY_SECONDS):
            for number in count(1):
                if not only:  # everything was looked at
                    slow = _WORKLOADS & {key.resource for key in live.raw} | {DEPLOYMENTS, REPLICA_SETS, PODS}
                late = [*_late(live, wanted, only), *await _late_elsewhere(client, wanted)]
                if not late and not only:
                    break
                if late:
                    await _hurry(client, live, wanted)
                    await asyncio.sleep(pause)  # several kinds at once: a watch for each would cost more than this
                    pause = min(PATIENCE * pause, LONGEST_POLL_SECONDS)
                # As long as these take, the rest is seldom looked at: a real API server takes a while for it.
                only = slow if late and number % SELDOM else frozenset()
                live = await look_again(client, live, only)
    except TimeoutError:
        where = sorted(wanted.namespaces)[0] if wanted.namespaces else "default"
        why = f"kubectl describe pods -n {where}"
        raise BackendError(f"not ready after {READY_SECONDS:g} s: {', '.join(late)}. Why: {why}") from None
    return live


def _late(live: Live, wanted: Wanted, only: Collection[str] = ()) -> list[str]:
    """What is not yet as it is to stay; `only`: of these resources, as nothing is known of others."""
    keys = [key for key in wanted.keys if not only or key.resource in only]
    late = [str(key) for key in keys if key not in live.raw and key.namespace in wanted.namespaces]
    uids = {obj["metadata"]["uid"] for obj in live.raw.values()}
    ready = Counter((pod.namespace, pod.controller) for pod in live.state.pods if pod.ready)
    for key, obj in live.raw.items():
        if key.namespace not in wanted.namespaces:
            continue
        owner = controller_of(obj)
        orphan = owner is not None and owner["uid"] not in uids
        if key.resource == DEPLOYMENTS:
            replicas = obj["spec"].get("replicas", 1)
            idle = is_complete(obj) and ready[key.namespace, f"Deployment/{key.name}"] == replicas
        else:
            idle = key.resource != PODS or owner is not None or key not in wanted.keys or _is_ready(live, key)
        if is_going(obj) or orphan or not idle:
            late.append(str(key))
    return late


def _is_ready(live: Live, key: Key) -> bool:
    return any(pod.ready for pod in live.state.pods if (pod.namespace, pod.name) == (key.namespace, key.name))


async def _late_elsewhere(client: HTTPClient, wanted: Wanted) -> list[str]:
    """The Deployments to renew that are not the lab's, such as a gateway."""
    late = []
    for namespace, name in sorted(wanted.fresh):
        if namespace not in wanted.namespaces:
            deployment = await client.get(DEPLOYMENTS, name, namespace)
            pods = await _pods_of(client, namespace, name)
            replicas = deployment["spec"].get("replicas", 1)
            if not is_complete(deployment) or [pod.ready for pod in pods] != [True] * replicas:
                late.append(str(Key(DEPLOYMENTS, namespace, name)))
    return late


async def _pods_of(client: HTTPClient, namespace: str, deployment: str) -> list[Pod]:
    """The pods that a Deployment selects."""
    labels = (await client.get(DEPLOYMENTS, deployment, namespace))["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{name}={text}" for name, text in labels.items())
    return [pod_of(pod, {}) for pod in (await client.list(PODS, namespace, labels=selector)).items]


async def _hurry(client: HTTPClient, live: Live, wanted: Wanted) -> None:
    """Pods on their way out do not get the half minute that Kubernetes allows them."""
    for key, obj in live.raw.items():
        slow = obj["metadata"].get("deletionGracePeriodSeconds", 0) > GRACE_SECONDS
        if key.resource == PODS and key.namespace in wanted.namespaces and is_going(obj) and slow:
            await _delete(client, key, obj["metadata"]["uid"])


async def _absent(client: HTTPClient, key: Key, uid: str) -> None:
    """Delete an object; one that waits for finalizers gets `READY_SECONDS`."""
    await _delete(client, key, uid)
    try:
        async with asyncio.timeout(READY_SECONDS):
            while await _is_there(client, key, uid):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # most are gone at once; a watch would take longer to open
    except TimeoutError:
        raise BackendError(f"{key} is not gone {READY_SECONDS:g} s after its deletion; has it finalizers?") from None


async def _is_there(client: HTTPClient, key: Key, uid: str) -> bool:
    try:
        return bool((await client.get(key.resource, key.name, key.namespace or None))["metadata"]["uid"] == uid)
    except StatusError as error:
        if error.code != 404:
            raise
        return False


async def _delete(client: HTTPClient, key: Key, uid: str) -> None:
    grace = GRACE_SECONDS if key.resource == PODS else None
    try:
        await client.delete(
            key.resource, key.name, key.namespace or None, propagation="Background", grace_seconds=grace, uid=uid
        )
    except StatusError as error:
        if error.code not in (404, 409):  # gone already, or another has its name
            raise


async def _each(work: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    await asyncio.gather(*(work(item) for item in items))


def _replacement(form: Object, raw: Object) -> Object:
    """The body of a PUT: the wanted form, with the version that it replaces and what controllers keep on it."""
    metadata, current = form["metadata"], raw["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    if revision := (current.get("annotations") or {}).get(REVISION):
        annotations[REVISION] = revision
    return {
        **form,
        "metadata": {**metadata, "annotations": annotations, "resourceVersion": current["resourceVersion"]},
    }


def as_kubectl_would(manifest: Object) -> Object:
    """The manifest with the annotation in which `kubectl apply` remembers what it applied.

    Without it the learner's first `kubectl apply` of the same object prints a warning, and cannot remove fields.
    """
    metadata = {**manifest["metadata"], "annotations": manifest["metadata"].get("annotations", {})}
    last = json.dumps({**manifest, "metadata": metadata}, sort_keys=True, separators=(",", ":")) + "\n"
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata["annotations"], LAST_APPLIED: last}}}
