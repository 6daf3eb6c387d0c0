"""The client interface that controllers, the kubelet, the control plane, the checks and the site are written against.

Objects are plain JSON dicts, exactly as the API serves them. **They are shared and must never be mutated**: copy
before changing (`copy.deepcopy`, or build a new dict around the part that changes).

A *resource* is named as a CRD is: ``plural`` for the core group, ``plural.group`` otherwise (``pods``,
``deployments.apps``, ``virtualservices.networking.istio.io``). The served (preferred) version is used; write
``plural.version.group`` (``deployments.v1.apps``) to pin one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Object = dict[str, Any]
PatchType = Literal["merge", "strategic", "json", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True)
class ObjectList:
    """What a list returned: the items and the resourceVersion to watch from."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """One event of a watch."""

    type: EventType
    object: Object


class Client(Protocol):
    """A Kubernetes API. Every method raises `errors.StatusError` for a refusal, `errors.Unreachable` for no answer.

    `namespace` is None for cluster-scoped resources, and for lists and watches across all namespaces. `subresource`
    is '' for the object itself, else 'status', 'scale', 'eviction', 'binding', 'token'.
    """

    async def get(self, resource: str, name: str, namespace: str | None = None, *, subresource: str = "") -> Object:
        """One object. A StatusError 404 when it, or its kind, is not there."""
        ...

    async def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> ObjectList:
        """All objects that the selectors `labels` and `fields` (as kubectl's -l and --field-selector) choose."""
        ...

    async def create(
        self, resource: str, obj: Object, namespace: str | None = None, *, subresource: str = "", name: str = ""
    ) -> Object:
        """Create `obj` (or POST to the `subresource` of the object `name`)."""
        ...

    async def update(
        self, resource: str, obj: Object, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        """PUT. With metadata.resourceVersion in `obj`, a StatusError 409 Conflict when it is no longer current."""
        ...

    async def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Change an object: the whole object as it is then. Type ``apply`` makes it if need be.

        `field_manager` is who owns the changed fields; with `force` an apply takes them from others (else a 409).
        """
        ...

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation | None = None,
        grace_seconds: int | None = None,
        uid: str | None = None,
    ) -> Object:
        """Delete an object: it as it was last, or a Status, as the API answers.

        With `uid` only that very object (else a 409). It may still be there afterwards, with a deletionTimestamp.
        """
        ...

    def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: str | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Events after resourceVersion `since` (None: first an ADDED for each object that exists).

        Ends when the server ends it; raises StatusError 410 when `since` is too old. Close it with ``aclose()``.
        """
        ...
