"""An environment: one embedded cluster of one user, by name, with its files and its block of addresses."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshdojo.embedded import directories
from meshdojo.embedded.certificates import new_token, write_serving_certificate
from meshdojo.embedded.errors import BadName, EmbeddedError
from meshdojo.network import BLOCKS, Block

API_PORT = 6443
DEFAULT_NAME = "default"
# The state directory's layout. Any other is refused with words; whoever changes it, migrates this one.
FORMAT = 1
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Environment:
    """The files of one environment. Nothing is created before `prepare`."""

    name: str
    state: Path

    @classmethod
    def named(cls, name: str = DEFAULT_NAME) -> Environment:
        """The environment of this name. Raises `BadName` for a name that is no DNS label."""
        if not _NAME.fullmatch(name):
            raise BadName(
                f"environment name {name!r}: allowed are small letters, digits and '-' (at most 32), such as 'lab-2'"
            )
        return cls(name, directories.state_root() / name)

    @property
    def run(self) -> Path:
        """The private run directory: sockets and the pods' files. Its path is short."""
        return directories.run_directory(self.state)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the administrator (mode 0600), there since the first `prepare`."""
        return self.state / "kubeconfig"

    @property
    def journal(self) -> Path:
        """All objects: see `meshdojo.kubernetes.journal`."""
        return self.state / "journal"

    @property
    def images(self) -> Path:
        """The images that the user added."""
        return self.state / "images.json"

    @property
    def log(self) -> Path:
        """What the cluster process and its keeper have to say."""
        return self.state / "cluster.log"

    @property
    def process_file(self) -> Path:
        """The cluster process: its pid and start time, as JSON."""
        return self.state / "cluster.json"

    @property
    def keeper_file(self) -> Path:
        """The keeper, likewise: see `keeping`. Without this file nothing is started again."""
        return self.state / "keeper.json"

    @property
    def tools(self) -> Path:
        """The directory for the lab shell's PATH: ``istioctl`` and ``meshdojo``."""
        return self.state / "bin"

    @property
    def _settings(self) -> Path:
        return self.state / "environment.json"

    def exists(self) -> bool:
        """Whether it was ever prepared."""
        return self._settings.exists()

    def settings(self) -> dict[str, Any]:
        """``{"format": 1, "block": int, "token": str}``. Raises `EmbeddedError` when damaged or too new."""
        try:
            found: dict[str, Any] = json.loads(self._settings.read_text())
            if found["format"] != FORMAT:
                raise EmbeddedError(
                    f"{self._settings} has format {found['format']}; this meshdojo reads format {FORMAT}. "
                    "Use the meshdojo that made it, or delete the environment with 'meshdojo down --delete'."
                )
            return {"format": FORMAT, "block": int(found["block"]), "token": str(found["token"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmbeddedError(
                f"{self._settings} cannot be read ({error}). Delete the environment with 'meshdojo down --delete'."
            ) from error

    @property
    def block(self) -> Block:
        """The environment's loopback addresses. Raises `EmbeddedError` as `settings` does."""
        return Block(self.settings()["block"])

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.block.node}:{API_PORT}"

    def prepare(self, listener: socket.socket | None = None) -> socket.socket:
        """Create what is missing, and claim the block: the listening socket of the API server, bound.

        `listener` is that of a process that is no more, and was kept. Raises `EmbeddedError` when the address is in use
        or a file cannot be written.
        """
        directories.private(self.state)
        directories.private(self.run.parent)
        directories.private(self.run)
        listener = listener or self._claim()
        block = self.block
        write_serving_certificate(self.state, [str(block.node), "127.0.0.1", str(block.services[1])])
        self._write_kubeconfig()
        self._write_tools()
        return listener

    def _claim(self) -> socket.socket:
        """The bound socket is the claim: the kernel frees it with the process, and it holds between users too."""
        if self.exists():
            return _bind(self.block)
        first = 0 if self.name == DEFAULT_NAME and "MESHDOJO_HOME" not in os.environ else self._preferred()
        for step in range(BLOCKS):
            block = Block((first + step) % BLOCKS)
            try:
                listener = _bind(block)
            except EmbeddedError:
                continue
            settings = {"format": FORMAT, "block": block.index, "token": new_token()}
            _write_private(self._settings, json.dumps(settings))
            _forget_discovery(block)
            return listener
        raise EmbeddedError(
            f"all {BLOCKS} address blocks (127.64-113.0.1, port {API_PORT}) are in use. "
            "Stop an environment with 'meshdojo down'."
        )

    def _preferred(self) -> int:
        digest = hashlib.sha256(str(self.state).encode()).digest()
        return 1 + int.from_bytes(digest[:4]) % (BLOCKS - 1)

    def _write_tools(self) -> None:
        self.tools.mkdir(exist_ok=True)
        for name, module in (("istioctl", "meshdojo.istio.istioctl"), ("meshdojo", "meshdojo.cli")):
            script = f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n'
            _write_private(self.tools / name, script, mode=0o700)

    def _write_kubeconfig(self) -> None:
        authority = base64.b64encode((self.state / "ca.crt").read_bytes()).decode()
        name = "meshdojo" if self.name == DEFAULT_NAME else f"meshdojo-{self.name}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": self.server, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": self.settings()["token"]}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        # JSON is YAML; kubectl reads both, and this needs no YAML writer at start.
        _write_private(self.kubeconfig, json.dumps(config, indent=2))


def _forget_discovery(block: Block) -> None:
    """Delete what kubectl remembers of an earlier cluster at this address.

    It keeps discovery documents for hours by the server's address, and would take kinds for served that are not.
    Source: computeDiscoverCacheDir in k8s.io/cli-runtime/pkg/genericclioptions.
    """
    cache = os.environ.get("KUBECACHEDIR") or Path.home() / ".kube" / "cache"
    shutil.rmtree(Path(cache) / "discovery" / f"{block.node}_{API_PORT}", ignore_errors=True)


def _bind(block: Block) -> socket.socket:
    # The protocol is spelled out: asyncio turns Nagle's delay (40 ms per answer) off only for sockets that name it.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(block.node), API_PORT))
        # Listening at once: two sockets with SO_REUSEADDR may share an address until one of them listens.
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise EmbeddedError(
            f"the address {block.node}:{API_PORT} cannot be used: {error.strerror}. Another environment or program "
            f"has it (on macOS it must be made first: sudo ifconfig lo0 alias {block.node}). Stop it, or delete this "
            "environment with 'meshdojo down --delete'."
        ) from error
    return listener


def _write_private(path: Path, text: str, mode: int = 0o600) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
