"""Deleting namespaces, and knowing which are ours."""

from __future__ import annotations

from collections.abc import Collection

from meshdojo.backends.base import BackendError
from meshdojo.cluster.client import Client
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE


async def delete_managed(client: Client, names: tuple[str, ...]) -> None:
    """Delete the namespaces `names` and return when they are gone.

    Raises `BackendError` before anything is deleted when one exists that meshdojo did not make.
    """
    await require_managed(client, names)
    await delete_namespaces(client, names)


async def require_managed(client: Client, names: Collection[str]) -> None:
    """Raises `BackendError` when one of these namespaces exists and meshdojo did not make it."""
    for item in (await client.list("namespaces")).items:
        metadata = item["metadata"]
        if metadata["name"] in names and (metadata.get("labels") or {}).get(MANAGED_LABEL) != MANAGED_VALUE:
            raise BackendError(
                f"namespace {metadata['name']!r} was not made by meshdojo (it has no label {MANAGED_LABEL}="
                f"{MANAGED_VALUE}), so it is left alone. Rename or delete it yourself: kubectl delete namespace "
                f"{metadata['name']}"
            )


async def delete_namespaces(client: Client, names: tuple[str, ...]) -> None:
    """Delete these namespaces, whoever made them, and return when they are gone."""
    listed = await client.list("namespaces")
    waiting = {item["metadata"]["name"] for item in listed.items} & set(names)
    for name in sorted(waiting):
        try:
            await client.delete("namespaces", name)
        except StatusError as error:
            if error.code != 404:
                raise
            waiting.discard(name)
    if waiting:
        await _gone(client, waiting, listed.resource_version)


async def _gone(client: Client, waiting: set[str], since: str) -> None:
    while waiting:
        async for event in client.watch("namespaces", since=since):
            if event.type == "DELETED":
                waiting.discard(event.object["metadata"]["name"])
            if not waiting:
                return
        # The server ended the watch: look again.
        listed = await client.list("namespaces")
        since = listed.resource_version
        waiting &= {item["metadata"]["name"] for item in listed.items}
