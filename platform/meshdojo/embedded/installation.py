"""Istio in the embedded cluster: which version is there, and installing it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from meshdojo.cluster.errors import StatusError
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


async def install(client: HTTPClient, profile: str, report: Callable[[str], None]) -> None:
    """Install Istio, and return when every part of it is ready.

    Raises `EmbeddedError` with the reason when it does not become ready.
    """
    # Only an installation needs the models and manifests; they take 0.2 s to import.
    from meshdojo.istio.install import apply
    from meshdojo.istio.install.options import load

    report(f"installing Istio ({profile} profile)")
    try:
        await apply.install(client, load([f"profile={profile}"]))
    except (apply.NotReady, StatusError) as error:
        raise EmbeddedError(f"Istio could not be installed: {error}. See: kubectl get events -n {NAMESPACE}") from error
