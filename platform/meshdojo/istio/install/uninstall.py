"""Removes an installation, as ``istioctl uninstall`` does: everything that carries istioctl's labels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.models.kinds import KINDS

JSON = dict[str, Any]
Report = Callable[[str], None]
Key = tuple[str, str, str]

COMPONENT, REVISION = "operator.istio.io/component", "istio.io/rev"
_NAMESPACED = (
    "deployments.apps",
    "services",
    "configmaps",
    "horizontalpodautoscalers.autoscaling",
    "serviceaccounts",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
)
_CLUSTER = (
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
)
_CRDS = "customresourcedefinitions.apiextensions.k8s.io"


async def uninstall(client: HTTPClient, revision: str = "", report: Report = lambda line: None) -> int:
    """Delete what was installed for `revision`, or with '' everything including the CRDs. Returns how many objects.

    Webhooks go first, so that nothing asks a control plane that is no longer there.
    """
    labels = COMPONENT if not revision else f"{COMPONENT},{REVISION}={revision}"
    removed = 0
    for group in (_CLUSTER[:2], _NAMESPACED, _CLUSTER[2:]):
        removed += sum(await asyncio.gather(*(_remove(client, resource, labels, report) for resource in group)))
    if not revision:
        names = [kind.TYPE.resource for kind in KINDS]
        removed += sum(await asyncio.gather(*(_delete(client, _CRDS, name, None, report) for name in names)))
    return removed


async def prune(client: HTTPClient, revision: str, kept: Collection[Key], report: Report = lambda line: None) -> int:
    """Delete what an earlier installation of `revision` made and this one did not. Returns how many objects."""
    labels = f"{COMPONENT},{REVISION}={revision}"
    resources = (*_CLUSTER, *_NAMESPACED)
    return sum(await asyncio.gather(*(_remove(client, resource, labels, report, kept) for resource in resources)))


async def _remove(
    client: HTTPClient, resource: str, labels: str, report: Report, kept: Collection[Key] = frozenset()
) -> int:
    kind = (await client.discovery.resource(resource)).kind
    found = (await client.list(resource, labels=labels)).items
    unwanted = [one for one in found if key(kind, one) not in kept]
    done = await asyncio.gather(*(_delete_one(client, resource, one, report) for one in unwanted))
    return sum(done)


def key(kind: str, obj: JSON) -> Key:
    """Kind, namespace ('' for cluster-scoped) and name."""
    metadata = obj["metadata"]
    return kind, metadata.get("namespace") or "", metadata["name"]


async def _delete_one(client: HTTPClient, resource: str, one: JSON, report: Report) -> int:
    metadata = one["metadata"]
    return await _delete(client, resource, metadata["name"], metadata.get("namespace"), report)


async def _delete(client: HTTPClient, resource: str, name: str, namespace: str | None, report: Report) -> int:
    try:
        await client.delete(resource, name, namespace, propagation="Background")
    except StatusError as error:
        if error.code == 404:
            return 0
        raise
    kind = await client.discovery.resource(resource)
    report(f"  Removed {kind.group}/{kind.version}, Kind={kind.kind}/{name}.{namespace or ''}.")
    return 1
