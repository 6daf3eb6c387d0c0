"""Which Istio we claim to be, and the names of its images."""

from __future__ import annotations

VERSION = "1.31-dev"
"""The version whose behaviour is imitated, written as its own development builds write it."""

HUB = "docker.io/istio"
PILOT_IMAGE = f"{HUB}/pilot"
PROXY_IMAGE = f"{HUB}/proxyv2"


def image(hub: str, name: str, tag: str) -> str:
    """The full name of an image; `name` may already be one."""
    return name if "/" in name else f"{hub}/{name}:{tag}"
