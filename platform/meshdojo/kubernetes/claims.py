"""Persistent volumes and the claims to them: which volume fits which claim, and what their annotations say.

Source: pkg/controller/volume/persistentvolume and k8s.io/component-helpers/storage/volume (pv_helpers.go).
"""

from __future__ import annotations

from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema import quantity
from meshdojo.kubernetes.selectors import LabelSelector

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
CLASSES = "storageclasses.storage.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
VOLUME_PROTECTION = "kubernetes.io/pv-protection"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
PROVISIONER = "meshdojo.io/local-path"
"""This cluster's own: it makes a directory for each claim."""


def annotation(obj: Object, name: str) -> str:
    """An annotation's value, '' when it is not there."""
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def class_of(obj: Object) -> str:
    """The name of a claim's or a volume's storage class; '' for none."""
    return str(obj["spec"].get("storageClassName") or "")


def waits_for_consumer(storage_class: Object) -> bool:
    """Whether claims of this class are bound only when a pod wants them."""
    return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_bound(claim: Object) -> bool:
    """Whether a claim has its volume, for good."""
    return bool(claim["spec"].get("volumeName")) and bool(annotation(claim, BIND_COMPLETED))


def claims_of(pod: Object) -> list[str]:
    """The names of the claims that a pod's volumes are made of."""
    sources = (volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or ())
    return [source["claimName"] for source in sources if source]


def is_for(volume: Object, claim: Object) -> bool:
    """Whether a volume is reserved for this claim: by its name, and by its uid if the volume knows that."""
    reference = volume["spec"].get("claimRef") or {}
    metadata = claim["metadata"]
    same = (reference.get("namespace"), reference.get("name")) == (metadata["namespace"], metadata["name"])
    return same and reference.get("uid") in (None, "", metadata["uid"])


def best(claim: Object, volumes: Iterable[Object]) -> Object | None:
    """The volume for a claim: one that is reserved for it, or else the smallest free one that is large enough."""
    there = [volume for volume in volumes if not volume["metadata"].get("deletionTimestamp")]
    reserved = [volume for volume in there if is_for(volume, claim)]
    if reserved:
        return reserved[0]
    fitting = [volume for volume in there if not volume["spec"].get("claimRef") and fits(volume, claim)]
    return min(fitting, key=lambda volume: (_capacity(volume), volume["metadata"]["name"]), default=None)


def fits(volume: Object, claim: Object) -> bool:
    """Whether a volume has all that a claim asks for."""
    wanted, there = claim["spec"], volume["spec"]
    selector = LabelSelector.from_object(wanted.get("selector")) if wanted.get("selector") else None
    return (
        class_of(volume) == class_of(claim)
        and there.get("volumeMode") == wanted.get("volumeMode")
        and set(wanted.get("accessModes") or ()) <= set(there.get("accessModes") or ())
        and _capacity(volume) >= quantity.parse(requested(claim))
        and (selector is None or selector.matches(volume))
    )


def requested(claim: Object) -> str:
    """The storage that a claim asks for, as a quantity."""
    return str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def reference(claim: Object) -> Object:
    """A volume's ``claimRef`` to a claim."""
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        **{field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion")},
    }


def _capacity(volume: Object) -> int:
    return quantity.parse(str((volume["spec"].get("capacity") or {}).get("storage", "0")))
