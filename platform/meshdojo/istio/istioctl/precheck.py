"""``istioctl x precheck``: can Istio be installed or upgraded here?"""

from __future__ import annotations

import re
import sys

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation

OLDEST = (1, 31)
"""The oldest Kubernetes that Istio 1.31 supports (istio.io, supported releases)."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def run(invocation: Invocation) -> int:
    """``istioctl experimental precheck``. Raises `CommandError` when something speaks against an installation."""
    problems = cluster.run(invocation, _problems)
    if problems:
        for problem in problems:
            print(problem)
        raise CommandError("Issues found when checking the cluster. Istio may not be safe to install or upgrade.")
    print("✔ No issues found when checking the cluster. Istio is safe to install or upgrade!", file=sys.stderr)
    print("  To get started, check out https://istio.io/latest/docs/setup/getting-started/.", file=sys.stderr)
    return 0


async def _problems(client: HTTPClient) -> list[str]:
    return version_problems(await client.version())


def version_problems(version: str) -> list[str]:
    """What is wrong with a Kubernetes of this version."""
    found = _VERSION.match(version)
    if found and (int(found[1]), int(found[2])) >= OLDEST:
        return []
    oldest = ".".join(map(str, OLDEST))
    return [f"Error [IST0141] Kubernetes {version} is too old for this Istio: the oldest it works with is {oldest}"]
