"""Images that the user registered: programs of this machine under names that manifests can use.

Kept in a file of the environment (``images.json``), so that they are there after a restart. The kubelet looks at the
file again whenever it has changed, so a pod that waits in ``ImagePullBackOff`` finds its image at the next try.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from meshdojo.embedded.errors import BadName, EmbeddedError
from meshdojo.kubelet.images import Image, InvalidReference, repository
from meshdojo.kubelet.runner.programs import is_python

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class UserImage:
    """A program under a name. `command` is absolute; `path` goes before ``sys.path`` of Python programs."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()

    def image(self) -> Image:
        """What the kubelet knows it by."""
        return Image((self.name,), self.command, environment=self.env, path=self.path)


class UserImages:
    """The images in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._images: tuple[UserImage, ...] = ()

    def all(self) -> tuple[UserImage, ...]:
        """Every image, in the order of the names. Raises `EmbeddedError` for a file that cannot be read."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return ()
        if self._seen != (found.st_mtime_ns, found.st_ino):
            self._images = self._read()
            self._seen = (found.st_mtime_ns, found.st_ino)
        return self._images

    def usable(self) -> list[Image]:
        """What the kubelet gets; nothing where the file cannot be read, which the log then says."""
        try:
            return [one.image() for one in self.all()]
        except EmbeddedError as error:
            log.error("%s", error)
            return []

    def _read(self) -> tuple[UserImage, ...]:
        try:
            data = json.loads(self._path.read_text())
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']}, and this meshdojo reads {FORMAT}")
            return tuple(
                UserImage(str(one["name"]), tuple(one["command"]), dict(one["env"]), tuple(one["path"]))
                for one in data["images"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmbeddedError(
                f"{self._path} cannot be read ({error}). Delete it, and add the images again."
            ) from error

    def add(self, image: UserImage) -> None:
        """Add it, in place of one with this name."""
        self._write([*(one for one in self.all() if one.name != image.name), image])

    def remove(self, name: str) -> None:
        """Raises `BadName` when there is none with this name."""
        kept = [one for one in self.all() if one.name != named(name)]
        if len(kept) == len(self.all()):
            known = ", ".join(one.name for one in self.all()) or "none"
            raise BadName(f"there is no image {name!r} of yours; there are: {known}")
        self._write(kept)

    def _write(self, images: Sequence[UserImage]) -> None:
        data = {"format": FORMAT, "images": [asdict(one) for one in sorted(images, key=lambda one: one.name)]}
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(data, indent=2))
        temporary.replace(self._path)


def named(reference: str) -> str:
    """The name under which an image is kept: without a tag. Raises `BadName` for one that is none."""
    try:
        return repository(reference)
    except InvalidReference as error:
        raise BadName(f"{reference!r} cannot be the name of an image: {error}") from error


def local_program(name: str, words: Sequence[str], env: Mapping[str, str], cwd: Path) -> UserImage:
    """The image `name` for a command line as typed in `cwd`. Raises `BadName` when there is no such program.

    Programs and scripts are found now, so that the pod does not depend on where it was typed.
    """
    program, *arguments = words
    if is_python(program):
        return UserImage(named(name), (sys.executable, *_python(arguments, cwd)), env, (str(cwd),))
    found = shutil.which(program, path=os.environ.get("PATH")) if "/" not in program else str(cwd / program)
    if found is None or not os.access(found, os.X_OK) or Path(found).is_dir():
        raise BadName(f"{program!r} is not a program that can be run on this machine")
    return UserImage(named(name), (str(Path(found).absolute()), *arguments), env)


def _python(arguments: list[str], cwd: Path) -> list[str]:
    """The script of a Python command line with its whole path."""
    if not arguments:
        raise BadName("say what Python is to run: a script, or '-m MODULE'")
    script = cwd / arguments[0]
    if arguments[0].startswith("-") or not script.is_file():
        if not arguments[0].startswith("-"):
            raise BadName(f"there is no file {script}")
        return arguments
    return [str(script.absolute()), *arguments[1:]]
