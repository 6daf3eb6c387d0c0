"""Deleting namespaces, and knowing which are ours."""

from __future__ import annotations

from meshdojo.backends.base import MANAGED_LABEL, MANAGED_VALUE, BackendError
from meshdojo.cluster.client import Client
from meshdojo.cluster.errors import StatusError


async def delete_managed(client: Client, names: tuple[str, ...]) -> None:
    """Delete the namespaces `names` and return when they are gone.

    Raises `BackendError` before anything is deleted when one exists that meshdojo did not make.
    """
    listed = await client.list("namespaces")
    present = {item["metadata"]["name"]: item for item in listed.items if item["metadata"]["name"] in names}
    for name, item in present.items():
        if item["metadata"].get("labels", {}).get(MANAGED_LABEL) != MANAGED_VALUE:
            raise BackendError(
                f"namespace {name!r} was not made by meshdojo (it has no label {MANAGED_LABEL}={MANAGED_VALUE}), so it "
                f"is left alone. Rename or delete it yourself: kubectl delete namespace {name}"
            )
    await delete_namespaces(client, names)


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
