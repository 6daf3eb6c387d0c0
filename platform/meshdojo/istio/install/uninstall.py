"""Removes an installation, as ``istioctl uninstall`` does: everything that carries istioctl's labels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient

JSON = dict[str, Any]
Report = Callable[[str], None]
Key = tuple[str, str, str]

COMPONENT, REVISION = "operator.istio.io/component", "istio.io/rev"
NOT_PRUNED = "install.operator.istio.io/owning-resource-not-pruned"
# In the order in which istioctl removes them (operator/pkg/uninstall/prune.go).
_NAMESPACED = (
    "deployments.apps",
    "daemonsets.apps",
    "services",
    "configmaps",
    "pods",
    "secrets",
    "serviceaccounts",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "poddisruptionbudgets.policy",
    "horizontalpodautoscalers.autoscaling",
)
_CLUSTER = (
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)
_CRDS = "customresourcedefinitions.apiextensions.k8s.io"
# What belongs to one control plane: not the base, which all share.
_OF_A_REVISION = ("Pilot", "IngressGateways", "EgressGateways", "Cni", "Ztunnel")


@dataclass(frozen=True)
class Found:
    """An object that is to be removed."""

    resource: str
    group_version_kind: str
    obj: JSON

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.group_version_kind.rpartition("=")[2]

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The object's namespace, '' for cluster-scoped ones."""
        return str(self.obj["metadata"].get("namespace") or "")

    def __str__(self) -> str:
        return f"{self.group_version_kind}/{self.name}.{self.namespace}"


async def removable(client: HTTPClient, revision: str = "") -> list[Found]:
    """What an uninstall of `revision` removes, or with '' a purge, which takes everything including the CRDs."""
    if not revision:
        return await _labelled(client, (*_NAMESPACED, *_CLUSTER, _CRDS), COMPONENT)
    labels = f"{COMPONENT} in ({','.join(_OF_A_REVISION)}),{REVISION}={revision}"
    return await _labelled(client, (*_NAMESPACED, *_CLUSTER), labels)


async def remove(client: HTTPClient, found: Collection[Found], report: Report = lambda line: None) -> None:
    """Delete these objects in their order; `report` gets a line for each."""
    for one in found:
        await _delete(client, one, report)


async def uninstall(client: HTTPClient, revision: str = "", report: Report = lambda line: None) -> int:
    """Delete what was installed for `revision`, or with '' everything including the CRDs. Returns how many objects."""
    found = await removable(client, revision)
    await remove(client, found, report)
    return len(found)


async def prune(client: HTTPClient, revision: str, kept: Collection[Key], report: Report = lambda line: None) -> int:
    """Delete what an earlier installation of `revision` made and this one did not. Returns how many objects."""
    found = await _labelled(client, (*_NAMESPACED, *_CLUSTER), f"{COMPONENT},{REVISION}={revision}")
    unwanted = [
        one
        for one in found
        if key(one.kind, one.obj) not in kept
        and one.kind != "Pod"  # they go with their Deployment
        and NOT_PRUNED not in one.obj["metadata"].get("labels", {})
    ]
    await remove(client, unwanted, report)
    return len(unwanted)


async def _labelled(client: HTTPClient, resources: tuple[str, ...], labels: str) -> list[Found]:
    lists = await asyncio.gather(*(_list(client, resource, labels) for resource in resources))
    return [one for found in lists for one in found]


async def _list(client: HTTPClient, resource: str, labels: str) -> list[Found]:
    served = await client.discovery.resource(resource)
    kind = f"{served.group}/{served.version}, Kind={served.kind}"
    return [Found(resource, kind, one) for one in (await client.list(resource, labels=labels)).items]


def key(kind: str, obj: JSON) -> Key:
    """Kind, namespace ('' for cluster-scoped) and name."""
    metadata = obj["metadata"]
    return kind, metadata.get("namespace") or "", metadata["name"]


async def _delete(client: HTTPClient, one: Found, report: Report) -> None:
    try:
        await client.delete(one.resource, one.name, one.namespace or None, propagation="Background")
    except StatusError as error:
        if error.code != 404:
            raise
        report(f"object: {one} is not being deleted because it no longer exists")
    else:
        report(f"  Removed {one}.")
