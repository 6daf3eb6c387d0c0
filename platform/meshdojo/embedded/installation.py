"""Istio in the embedded cluster: which version is there, and install it if none is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.rollout import completed
from meshdojo.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from meshdojo.cluster.http import HTTPClient

NAMESPACE = "istio-system"
_TAG = re.compile(r":([^:/@]+)$")


async def installed_version(client: HTTPClient) -> str:
    """The version of istiod (its image's tag), '' when there is none."""
    found = await client.list("deployments.apps", NAMESPACE, labels="app=istiod")
    for deployment in found.items:
        tag = _TAG.search(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
        return tag[1] if tag else "unknown"
    return ""


async def ensure(client: HTTPClient, profile: str, report: Callable[[str], None]) -> None:
    """Install Istio unless an istiod is there; either way return when every part of it is ready.

    Raises `EmbeddedError` with the reason when it does not become ready.
    """
    if not await installed_version(client):
        await _install(client, profile, report)
        return
    found = await client.list("deployments.apps", NAMESPACE)
    await asyncio.gather(*(completed(client, NAMESPACE, one["metadata"]["name"]) for one in found.items))


async def remove(client: HTTPClient, report: Callable[[str], None]) -> None:
    """Take away what an installation made, CRDs included; its namespace stays."""
    from meshdojo.istio.install.uninstall import uninstall

    if await installed_version(client):
        report("removing Istio")
    await uninstall(client)


async def _install(client: HTTPClient, profile: str, report: Callable[[str], None]) -> None:
    # Only an installation needs the models and manifests; they take 0.2 s to import.
    from meshdojo.istio.install.apply import NotReady, install
    from meshdojo.istio.install.options import load

    report(f"installing Istio ({profile} profile)")
    try:
        await install(client, load([f"profile={profile}"]))
    except (NotReady, StatusError) as error:
        raise EmbeddedError(f"Istio could not be installed: {error}. See: kubectl get events -n {NAMESPACE}") from error
