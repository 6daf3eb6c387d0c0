"""Ownership between objects: controller references, adoption and release.

Source: ``k8s.io/kubernetes/pkg/controller/controller_ref_manager.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubernetes.selectors import LabelSelector

BY_OWNER = "controller uid"
ORPHANS = "orphans of a namespace"


def controller_reference(owner: Object) -> Object:
    """The ownerReference with which a controller's children point to it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Object) -> Object | None:
    """The one ownerReference of `obj` that says controller: true."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def index(children: Informer) -> None:
    """Prepare an informer for `candidates`."""
    children.add_index(BY_OWNER, lambda obj: [owner["uid"]] if (owner := controller_of(obj)) else [])
    children.add_index(ORPHANS, lambda obj: [] if controller_of(obj) else [obj["metadata"].get("namespace", "")])


def candidates(children: Informer, owner: Object) -> list[Object]:
    """The owner's children, and those of its namespace that nobody controls."""
    metadata = owner["metadata"]
    return children.indexed(BY_OWNER, metadata["uid"]) + children.indexed(ORPHANS, metadata.get("namespace", ""))


async def claim(
    client: Client,
    owner: Object,
    children: Informer,
    selector: LabelSelector,
    eligible: Callable[[Object], bool] = lambda child: True,
) -> list[Object]:
    """The children that belong to `owner`, after adopting orphans that match and releasing those that no longer do.

    Children that are not `eligible` are left as they are, and out of the answer.
    """
    claimed = []
    for child in filter(eligible, candidates(children, owner)):
        mine = controller_of(child) is not None
        if selector.matches(child):
            kept = child if mine else await _adopt(client, owner, children, child)
            claimed += [kept] if kept else []
        elif mine and not _deleting(owner):
            rest = [ref for ref in child["metadata"]["ownerReferences"] if ref["uid"] != owner["metadata"]["uid"]]
            await _point(client, children, child, rest)
    return claimed


async def _adopt(client: Client, owner: Object, children: Informer, child: Object) -> Object | None:
    if _deleting(owner) or _deleting(child):
        return None
    references = [*(child["metadata"].get("ownerReferences") or ()), controller_reference(owner)]
    return await _point(client, children, child, references)


async def _point(client: Client, children: Informer, child: Object, references: Iterable[Object]) -> Object | None:
    """Replace a child's owner references, unless it changed meanwhile (409) or is gone (None)."""
    metadata = child["metadata"]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "ownerReferences": list(references) or None}}
    try:
        written = await client.patch(children.resource, metadata["name"], patch, metadata.get("namespace"))
    except StatusError as error:
        if error.code == 404:
            return None
        raise
    children.observe(written)
    return written


def _deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))
