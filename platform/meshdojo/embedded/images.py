"""All images that exist in an embedded cluster: the course's apps, Istio's samples and its two, those of the user."""

from __future__ import annotations

import sys
from pathlib import Path

from meshdojo.course.images import AppImage, load_images
from meshdojo.istio.version import PILOT_IMAGE, PROXY_IMAGE
from meshdojo.kubelet.images import Image

# Istio has published its images under several hubs; all of them mean the ones that this cluster has.
_HUBS = ("istio", "registry.istio.io/release", "gcr.io/istio-release")


def known_images(apps: Path) -> list[Image]:
    """The images of ``apps/images.toml`` and Istio's. Raises `CourseError` for a broken list."""
    found = load_images(apps)
    programs = [_app(image, apps) for image in (*found.images, *found.samples)]
    return [*programs, _istio("pilot", PILOT_IMAGE, "meshdojo.istio.pilot"), _proxy()]


def preloaded_modules(apps: Path) -> tuple[str, ...]:
    """What the process that forks the apps imports first."""
    return load_images(apps).preload


def later_modules() -> tuple[str, ...]:
    """What that process imports when it has nothing to do: istiod's parts, 1.5 s of work, the largest one by one.

    A new istiod is there at once then, and shares them.
    """
    models = ("pydantic", "meshdojo.istio.models.kinds", "meshdojo.istio.state", "meshdojo.istio.messages")
    return (
        "aiohttp",
        "aiohttp.web",
        "cryptography.x509",
        *models,
        "grpc.aio",
        "meshdojo.istio.ads",
        "meshdojo.istio.pilot",
    )


def _app(image: AppImage, apps: Path) -> Image:
    return Image((image.name,), image.entrypoint, image.args, image.env, path=(str(apps),), programs=image.programs)


def _istio(short: str, name: str, module: str) -> Image:
    names = (name, *(f"{hub}/{short}" for hub in _HUBS))
    return Image(names, (sys.executable, "-m", module))


def _proxy() -> Image:
    agent = _istio("proxyv2", PROXY_IMAGE, "meshdojo.istio.agent")
    programs = {"pilot-agent": (sys.executable, "-m", "meshdojo.istio.pilot_agent")}
    return Image(agent.names, agent.entrypoint, programs=programs)
