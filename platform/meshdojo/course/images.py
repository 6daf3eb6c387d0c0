"""The images of the course's own programs, as ``apps/images.toml`` lists them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshdojo.course.errors import CourseError


@dataclass(frozen=True)
class AppImage:
    """One image: `target` is the stage of ``apps/Dockerfile`` that builds it, `entrypoint` and `args` what it runs.

    A sample of Istio's has no stage: real clusters pull the original. `programs` are further commands of containers.
    """

    name: str
    target: str
    entrypoint: tuple[str, ...]
    args: tuple[str, ...]
    env: dict[str, str]
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class AppImages:
    """All images, the tag that the manifests use, and the modules that a process which forks them should have.

    `samples` are equivalents of Istio's own samples, by the names of their images.
    """

    tag: str
    preload: tuple[str, ...]
    images: tuple[AppImage, ...]
    samples: tuple[AppImage, ...] = ()


def load_images(apps: Path) -> AppImages:
    """Read ``images.toml`` below `apps`. Raises `CourseError` naming the file and what is wrong with it."""
    path = apps / "images.toml"
    try:
        found = tomllib.loads(path.read_text())
        images = tuple(_image(name, entry) for name, entry in found["images"].items())
        samples = tuple(_image(name, {"target": "", **entry}) for name, entry in found.get("samples", {}).items())
        return AppImages(str(found["tag"]), tuple(found["preload"]), images, samples)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CourseError(path, 0, f"cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        allowed = "'tag', 'preload' and for each image 'target', 'entrypoint', 'args', 'env'"
        raise CourseError(path, 0, f"{error!s} is missing or of the wrong type; allowed are {allowed}") from error


def _image(name: str, entry: dict[str, Any]) -> AppImage:
    programs = {program: tuple(words) for program, words in entry.get("programs", {}).items()}
    command, args = tuple(entry["entrypoint"]), tuple(entry["args"])
    return AppImage(name, str(entry["target"]), command, args, dict(entry["env"]), programs)
