"""Which objects a cluster has, to see what a reset left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from meshdojo.checks.convergence import KINDS
from meshdojo.checks.probe import NAMESPACES
from meshdojo.cluster.client import Client
from meshdojo.cluster.errors import StatusError
from meshdojo.validation.state import controller_of, is_ours

RESOURCES = (
    "namespaces",
    "services",
    "configmaps",
    "secrets",
    "serviceaccounts",
    "pods",
    "deployments.apps",
    "customresourcedefinitions.apiextensions.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    *KINDS,
)
# Theirs come and go by themselves: the probe with its namespaces, leases, bootstrap tokens.
IGNORED = frozenset({"kube-system", *NAMESPACES.values()})

Key = tuple[str, str, str]


async def take(client: Client, *, owned: bool = True) -> frozenset[Key]:
    """resource, namespace and name of every object that counts: what controllers keep has names of its own.

    Where the cluster is not ours alone (`owned`), that is what is in the namespaces that meshdojo made.
    """
    found = await asyncio.gather(*(_names(client, resource) for resource in RESOURCES))
    keys = frozenset(key for keys in found for key in keys if not _comes_and_goes(key))
    if owned:
        return keys
    ours = {one["metadata"]["name"] for one in (await client.list("namespaces")).items if is_ours(one)}
    return frozenset(key for key in keys if (key[2] if key[0] == "namespaces" else key[1]) in ours)


def _comes_and_goes(key: Key) -> bool:
    resource, namespace, name = key
    return (name if resource == "namespaces" else namespace) in IGNORED


async def _names(client: Client, resource: str) -> list[Key]:
    try:
        listed = await client.list(resource)
    except StatusError as error:
        if error.code != 404:
            raise
        return []
    return [
        (resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        for obj in listed.items
        if controller_of(obj) is None
    ]


def words(keys: Iterable[Key]) -> str:
    """A list for people: `pods fleet/web-…, namespaces fleet`."""
    return ", ".join(
        f"{resource} {namespace + '/' if namespace else ''}{name}" for resource, namespace, name in sorted(keys)
    )
