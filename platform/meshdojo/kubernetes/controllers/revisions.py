"""A deployment's revisions: which replica set holds which template, and its number in the history.

Source: ``k8s.io/kubernetes/pkg/controller/deployment/util/deployment_util.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from meshdojo.cluster.client import Object

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"
# Annotations of a deployment that its replica sets do not get.
_NOT_COPIED = frozenset(
    [
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    ]
)
# Without vowels and what looks alike, so that no words come out (k8s.io/apimachinery/pkg/util/rand SafeEncodeString).
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object, collisions: int = 0) -> str:
    """The value of the pod-template-hash label: FNV-1a over the template, in the alphabet that names are made of."""
    data = orjson.dumps(template, option=orjson.OPT_SORT_KEYS)
    if collisions:
        data += collisions.to_bytes(8, "little")
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def same_template(one: Object, other: Object) -> bool:
    """Whether two pod templates are equal but for the hash label."""
    return _without_hash(one) == _without_hash(other)


def newest(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The replica set that has the deployment's template (the oldest, should there be several)."""
    template = deployment["spec"]["template"]
    equal = [one for one in sets if same_template(one["spec"]["template"], template)]
    return min(equal, key=created, default=None)


def created(obj: Object) -> tuple[str, str]:
    """Sort key: the oldest first."""
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def annotation(obj: Object, name: str) -> str:
    """An annotation's value, '' for none."""
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def number(obj: Object, name: str = REVISION) -> int:
    """The number in an annotation; 0 without one."""
    text = annotation(obj, name)
    return int(text) if text.isdigit() else 0


def annotations_for(deployment: Object, replica_set: Object | None, revision: int) -> dict[str, str]:
    """The annotations of the deployment's newest replica set (None: one to be made), except the replica counts.

    An older set whose template came back gets the new number, and remembers the one it had.
    """
    copied = {
        name: value
        for name, value in (deployment["metadata"].get("annotations") or {}).items()
        if name not in _NOT_COPIED
    }
    if replica_set is None:
        return {**copied, REVISION: str(revision)}
    own = {**(replica_set["metadata"].get("annotations") or {}), **copied}
    before = number(replica_set)
    if before >= revision:
        return own
    if before:
        own[HISTORY] = ",".join(filter(None, [own.get(HISTORY, ""), str(before)]))
    return {**own, REVISION: str(revision)}


def replica_annotations(desired: int, surge: int) -> dict[str, str]:
    """What a replica set says of its deployment's size, from which proportional scaling starts."""
    return {DESIRED: str(desired), MAXIMUM: str(desired + surge)}


def with_annotations(obj: Object, annotations: Mapping[str, str]) -> Object:
    """`obj` with these annotations in addition; `obj` itself if it has them."""
    before = obj["metadata"].get("annotations") or {}
    if before.items() >= annotations.items():
        return obj
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**before, **annotations}}}


def replica_set_for(deployment: Object, revision: int) -> Object:
    """A new replica set (of size 0) for the deployment's template."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    digest = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount", 0))
    label = {HASH_LABEL: digest}
    template_metadata = spec["template"].get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), **label}
    match_labels = {**(spec["selector"].get("matchLabels") or {}), **label}
    body: dict[str, Any] = {
        "replicas": 0,
        "selector": {**spec["selector"], "matchLabels": match_labels},
        "template": {**spec["template"], "metadata": {**template_metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        body["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": annotations_for(deployment, None, revision),
        },
        "spec": body,
    }


def _without_hash(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    labels = {name: value for name, value in (metadata.pop("labels", None) or {}).items() if name != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}
