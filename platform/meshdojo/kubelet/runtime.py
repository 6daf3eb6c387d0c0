"""What all pods of a node share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informer
from meshdojo.kubelet import commands, mounts
from meshdojo.kubelet.addresses import Addresses
from meshdojo.kubelet.env import PATH
from meshdojo.kubelet.images import Image, ImageTable
from meshdojo.kubelet.resolver import Resolver
from meshdojo.kubelet.runner.programs import is_python
from meshdojo.kubelet.spawn import Zygote
from meshdojo.kubernetes.controllers.events import Recorder
from meshdojo.network import Block


class CommandError(Exception):
    """A command cannot be started. The text is the container runtime's (runc)."""


@dataclass
class Runtime:
    """The node's parts. `directory` is the environment's run directory (``MESHDOJO_RUN``)."""

    client: Client
    block: Block
    node_name: str
    directory: Path
    images: ImageTable
    zygote: Zygote
    recorder: Recorder
    resolver: Resolver
    services: Informer
    addresses: Addresses
    environment: Mapping[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)  # addresses of pods that were here before this node started
    rebooted: bool = True  # no process of an earlier run of this node is left

    @property
    def tools(self) -> Path:
        """The directory of programs that comes first on every pod's PATH."""
        return self.directory / "bin"

    @property
    def node_ip(self) -> str:
        """The node's address."""
        return str(self.block.node)

    async def fetch(self, resource: str, namespace: str, name: str) -> Object | None:
        """An object that a pod refers to, None if there is none. `namespace` is '' for a cluster's own."""
        try:
            return await self.client.get(resource, name, namespace or None)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    def default_environment(self) -> dict[str, str]:
        """What every container has before its image and its specification add to it."""
        return {"PATH": f"{self.tools}:{PATH}", "HOME": "/", "LANG": "C.UTF-8", **self.environment}

    def write_tools(self) -> None:
        """What a shell in a pod starts by name."""
        commands.write(self.tools, PATH)


def command_line(argv: list[str], image: Image, environment: Mapping[str, str], cwd: str) -> list[str]:
    """What to really start for `argv`: tools and the image's own programs stand for Python programs.

    Raises `CommandError` where there is no such program.
    """
    name = argv[0]
    known = {**commands.fallbacks(PATH), **commands.OURS, **image.programs}
    base = os.path.basename(name)
    if name in known or (base in known and not os.path.exists(name)):
        return [*known[base], *argv[1:]]
    if is_python(name):
        return argv
    _require_program(name, environment, cwd)
    return [name, *mounts.arguments(name, argv[1:], environment)]


def _require_program(name: str, environment: Mapping[str, str], cwd: str) -> None:
    """Raises `CommandError`, with runc's words, if there is no such program."""
    if not name:
        raise CommandError('exec: "": executable file not found in $PATH: unknown')
    if "/" not in name:
        if shutil.which(name, path=environment.get("PATH", PATH)) is None:
            raise CommandError(f'exec: "{name}": executable file not found in $PATH: unknown')
        return
    path = os.path.join(cwd, name)
    if not os.path.exists(path):
        raise CommandError(f'exec: "{name}": stat {name}: no such file or directory: unknown')
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise CommandError(f'exec: "{name}": permission denied: unknown')
