"""What is in the namespaces of a lab, without what controllers make: enough to see what differs, and to put it back.

A *state* is taken of all namespaces that meshdojo made (but the probe's), and of Istio's configuration in
istio-system, which acts on every one of them. Where the cluster is ours alone, it is also taken of the namespace
`default`, in which kubectl works unless it is told otherwise: no lab is at home there, but learners leave things.
Namespaces that somebody else made are nobody's business here. Objects come without what the server counts and keeps
for itself (resourceVersion, managedFields, status …), so that two states can be compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from meshdojo.checks.pods import has_sidecar, is_ready
from meshdojo.checks.probe import NAMESPACES as PROBE_NAMESPACES
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.cluster.resources import Resource

ISTIO_SYSTEM, DEFAULT = "istio-system", "default"
NAMESPACES, PODS, REPLICA_SETS, DEPLOYMENTS = "namespaces", "pods", "replicasets.apps", "deployments.apps"
EMPTY: Mapping[str, str] = MappingProxyType({})
REVISION = "deployment.kubernetes.io/revision"
# Lists at the same time: each has a connection of its own, and to open one takes longer than an answer.
AT_ONCE = 12

# Nobody's work: they come and go with others, or are gone after an hour.
_DERIVED = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io", "controllerrevisions.apps"})
# In every namespace by itself, and again by itself when it was deleted.
_AUTOMATIC = frozenset(
    {
        *(("configmaps", name) for name in ("kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl")),
        ("serviceaccounts", "default"),
    }
)
# A service keeps its address for as long as it lives; one that is made again gets another.
_ALLOCATED = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort"})
_ANNOTATIONS_OF_CONTROLLERS = frozenset({REVISION})


class Key(NamedTuple):
    """Which object: `resource` as `Client` names it, `namespace` '' for one that has none."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = self.resource.partition(".")[0]
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


DEFAULT_NAMESPACE = Key(NAMESPACES, "", DEFAULT)


@dataclass(frozen=True)
class Pod:
    """A pod as it must stay to count as the one that was there: `fingerprint` covers labels, spec and restarts.

    `controller` is the Deployment (or what else keeps it) as `KIND/NAME`, '' for one that nothing would replace.
    """

    namespace: str
    name: str
    uid: str
    controller: str
    containers: tuple[str, ...]
    sidecar: bool
    ready: bool
    fingerprint: str


@dataclass(frozen=True)
class State:
    """What there is, or was. `objects` are `normalised`; `istiod` is the uid of its Deployment ('' for none).

    `default` is among the `objects` with what is in it (pods that nothing keeps too), if it was looked at, and nowhere
    else: nothing waits for it.
    """

    objects: Mapping[Key, Object]
    pods: tuple[Pod, ...]
    replica_sets: frozenset[str]
    namespaces: Mapping[str, str]
    istiod: str

    def pod(self, uid: str) -> Pod | None:
        """The pod with this uid, None for none."""
        return next((pod for pod in self.pods if pod.uid == uid), None)

    @property
    def knows_default(self) -> bool:
        """Whether the namespace `default` was looked at."""
        return DEFAULT_NAMESPACE in self.objects


@dataclass(frozen=True)
class Live:
    """A state, with the objects as the server has them, and where was looked: which kinds, how (`look`)."""

    state: State
    raw: Mapping[Key, Object]
    kinds: tuple[Resource, ...] = ()
    everywhere: bool = False


async def look(
    client: HTTPClient,
    known: Mapping[str, str] = EMPTY,
    kinds: Sequence[Resource] = (),
    *,
    everywhere: bool = False,
) -> Live:
    """What there is now. `known`: namespaces (with uid) that are ours even if somebody took their label away.

    `kinds`: those that there are, if that is known. `everywhere`: the cluster is ours alone. `default` is then looked
    at, too, and each kind is listed once, in all namespaces, which takes a third of the requests. Raises ClusterError.
    """
    listed, found = await asyncio.gather(client.list(NAMESPACES), _kinds(client, kinds))
    namespaces = [
        one for one in listed.items if is_ours(one) or _is_known(one, known) or (everywhere and _is_default(one))
    ]
    return await _look(client, namespaces, found, everywhere)


async def _kinds(client: HTTPClient, known: Sequence[Resource]) -> Sequence[Resource]:
    """The kinds whose objects somebody may make and delete in a namespace."""
    resources = known or await client.discovery.all()
    return [one for one in resources if one.namespaced and {"list", "delete"} <= {*one.verbs}]


async def look_again(client: HTTPClient, before: Live, only: Collection[str] = ()) -> Live:
    """The same namespaces and kinds of objects as `before`, which saves asking for the kinds that there are.

    `only`: names of resources; nothing is known of others then.
    """
    listed = await client.list(NAMESPACES)
    owned = DEFAULT_NAMESPACE in before.raw
    wanted = [one for one in listed.items if _is_known(one, before.state.namespaces) or (owned and _is_default(one))]
    kinds = [kind for kind in before.kinds if kind.name in only] if only else before.kinds
    return replace(await _look(client, wanted, kinds, before.everywhere), kinds=before.kinds)


async def _look(client: HTTPClient, namespaces: list[Object], kinds: Sequence[Resource], everywhere: bool) -> Live:
    names = [item["metadata"]["name"] for item in namespaces]
    istiod = asyncio.create_task(_istiod(client))
    turns = asyncio.Semaphore(AT_ONCE)
    lists = [
        *((kind, name) for name in names for kind in kinds if kind.name not in _DERIVED),
        *((kind, ISTIO_SYSTEM) for kind in kinds if kind.group.endswith(".istio.io")),
    ]
    if everywhere:
        wanted = {(kind.name, name) for kind, name in lists}
        once = {kind.name: kind for kind, _ in lists}.values()
        entries = await asyncio.gather(*(_list(client, kind, None, turns) for kind in once))
        found = [(key, obj) for found in entries for key, obj in found if (key.resource, key.namespace) in wanted]
    else:
        entries = await asyncio.gather(*(_list(client, kind, name, turns) for kind, name in lists))
        found = [entry for entries in entries for entry in entries]
    raw = {Key(NAMESPACES, "", item["metadata"]["name"]): item for item in namespaces}
    raw.update(found)
    return Live(_state(raw, await istiod), raw, tuple(kinds), everywhere)


def is_ours(namespace: Object) -> bool:
    """Whether meshdojo made this namespace for a lab."""
    metadata = namespace["metadata"]
    managed = (metadata.get("labels") or {}).get(MANAGED_LABEL) == MANAGED_VALUE
    return managed and metadata["name"] not in PROBE_NAMESPACES.values()


def _is_known(namespace: Object, known: Mapping[str, str]) -> bool:
    metadata = namespace["metadata"]
    return bool(known.get(metadata["name"]) == metadata["uid"])


def _is_default(namespace: Object) -> bool:
    return bool(namespace["metadata"]["name"] == DEFAULT)


async def _istiod(client: HTTPClient) -> str:
    found = await client.list(DEPLOYMENTS, ISTIO_SYSTEM, labels="app=istiod")
    return str(found.items[0]["metadata"]["uid"]) if found.items else ""


async def _list(
    client: HTTPClient, kind: Resource, namespace: str | None, turns: asyncio.Semaphore
) -> list[tuple[Key, Object]]:
    try:
        async with turns:
            listed = await client.list(kind.name, namespace)
    except StatusError as error:
        if error.code not in (404, 405):  # gone since discovery spoke of it
            raise
        return []
    return [(Key(kind.name, item["metadata"]["namespace"], item["metadata"]["name"]), item) for item in listed.items]


def _state(raw: Mapping[Key, Object], istiod: str) -> State:
    owners = {obj["metadata"]["uid"]: obj for key, obj in raw.items() if key.resource == REPLICA_SETS}
    return State(
        {key: normalised(obj) for key, obj in raw.items() if _counts(key, obj, raw)},
        tuple(
            pod_of(obj, owners)
            for key, obj in raw.items()
            if key.resource == PODS and key.namespace != DEFAULT and not is_going(obj)
        ),
        frozenset(owners),
        {
            key.name: obj["metadata"]["uid"]
            for key, obj in raw.items()
            if key.resource == NAMESPACES and key != DEFAULT_NAMESPACE
        },
        istiod,
    )


def _counts(key: Key, obj: Object, raw: Mapping[Key, Object]) -> bool:
    """Whether somebody made this object: not a controller, and no pod of a lab (those have facts of their own)."""
    if key.resource == PODS and key.namespace != DEFAULT:
        return False
    if key.resource == "endpoints":  # those of a service follow it; others are somebody's
        return Key("services", key.namespace, key.name) not in raw
    return controller_of(obj) is None


def is_automatic(key: Key) -> bool:
    """Whether this object appears in every namespace by itself."""
    return (key.resource, key.name) in _AUTOMATIC


def is_of_default(key: Key) -> bool:
    """Whether this object is in the namespace `default`."""
    return key.namespace == DEFAULT


def is_going(obj: Object) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def controller_of(obj: Object) -> dict[str, Any] | None:
    """The owner reference of the controller that keeps this object."""
    references: list[dict[str, Any]] = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def normalised(obj: Object) -> Object:
    """The object as somebody would write it, with the server's defaults."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    kept: Object = {
        "name": metadata["name"],
        "labels": metadata.get("labels") or {},
        "annotations": {name: text for name, text in annotations.items() if name not in _ANNOTATIONS_OF_CONTROLLERS},
    }
    if namespace := metadata.get("namespace"):
        kept["namespace"] = namespace
    rest = {part: value for part, value in obj.items() if part not in ("metadata", "status")}
    if obj.get("kind") == "Service" and obj["spec"].get("clusterIP") != "None":
        rest["spec"] = {name: value for name, value in obj["spec"].items() if name not in _ALLOCATED}
    return {**rest, "metadata": kept}


def pod_of(pod: Object, replica_sets: Mapping[str, Object]) -> Pod:
    """The facts of a pod; `replica_sets` by uid, to find the Deployment behind it."""
    metadata, spec = pod["metadata"], pod["spec"]
    owner = controller_of(pod)
    if owner and owner["kind"] == "ReplicaSet":
        owner = controller_of(replica_sets.get(owner["uid"], {"metadata": {}})) or owner
    statuses = [
        status
        for part in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(part) or ()
    ]
    restarts = {status["name"]: status.get("restartCount", 0) for status in statuses}
    return Pod(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        f"{owner['kind']}/{owner['name']}" if owner else "",
        tuple(sorted(one["name"] for one in [*spec.get("initContainers", ()), *spec["containers"]])),
        has_sidecar(pod),
        is_ready(pod),
        digest([metadata.get("labels"), metadata.get("annotations"), spec, restarts]),
    )


def digest(value: object) -> str:
    """A short name for a JSON value: equal values have equal ones."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


async def keys_of(client: HTTPClient, manifests: Iterable[Object]) -> dict[Key, Object]:
    """The manifests by key. Raises StatusError 404 for a kind that the cluster does not know."""
    found = {}
    for manifest in manifests:
        resource = await client.resource_of(manifest)
        namespace = manifest["metadata"].get("namespace") or client.access.namespace
        found[Key(resource.name, namespace if resource.namespaced else "", manifest["metadata"]["name"])] = manifest
    return found
