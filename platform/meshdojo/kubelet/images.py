"""Container images: the names that manifests use, and the programs of ours that they stand for.

There are no real images here. A table, given to the kubelet when it is made, says which names exist; any tag or
digest of a name means the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_TAG = re.compile(r":[\w][\w.-]{0,127}$")
_DIGEST = re.compile(r"@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$")
_NAME = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9]+(?:(?:\.|_{1,2}|-+)[A-Za-z0-9]+)*)*")
_DOCKER_PREFIXES = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/", "library/")


@dataclass(frozen=True)
class Image:
    """What an image stands for.

    `entrypoint` and `arguments` are what ENTRYPOINT and CMD are to a Dockerfile; ``python -m MODULE`` runs warm.
    `path` goes before ``sys.path``; `programs` are further commands on the PATH of its containers, by name.
    """

    names: tuple[str, ...]
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    working_directory: str = "/"

    @property
    def identifier(self) -> str:
        """What stands for the image's ID in a container's status."""
        return "sha256:" + hashlib.sha256(self.names[0].encode()).hexdigest()


class InvalidReference(ValueError):
    """The name of an image cannot be parsed. The text is containerd's."""


def repository(reference: str) -> str:
    """The name alone: without tag, digest and the default registry. Raises `InvalidReference`.

    Source: github.com/distribution/reference.
    """
    name = _TAG.sub("", _DIGEST.sub("", reference))
    if not name or not _NAME.fullmatch(name):
        raise InvalidReference(f'couldn\'t parse image name "{reference}": invalid reference format')
    for prefix in _DOCKER_PREFIXES:
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    _, slash, path = name.partition("/")
    if (path if slash else name) != (path if slash else name).lower():
        full = name if slash else f"library/{name}"
        raise InvalidReference(
            f'couldn\'t parse image name "{reference}": invalid reference format: '
            f"repository name ({full}) must be lowercase"
        )
    return name


class ImageTable:
    """All images that this node has: fixed ones, and `more`, which is asked each time and goes before them."""

    def __init__(self, images: Iterable[Image], more: Callable[[], Iterable[Image]] = tuple) -> None:
        self._images = _by_name(images)
        self._more = more

    def find(self, reference: str) -> Image | None:
        """The image of this name and any tag, or None. Raises `InvalidReference`."""
        name = repository(reference)
        return _by_name(self._more()).get(name) or self._images.get(name)

    def names(self) -> list[str]:
        """The names that exist, sorted."""
        return sorted({**self._images, **_by_name(self._more())})

    def missing(self, reference: str) -> str:
        """The words for an image that is not there: they say which ones are."""
        return (
            f'failed to resolve image "{reference}": not found. This cluster runs no containers; '
            f"the images that it knows, with any tag, are: {', '.join(self.names()) or 'none'}. "
            "'meshdojo image add NAME -- COMMAND' makes a program of this machine one"
        )


def _by_name(images: Iterable[Image]) -> dict[str, Image]:
    return {repository(name): image for image in images for name in image.names}
