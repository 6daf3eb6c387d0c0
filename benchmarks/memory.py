"""Memory of a whole environment: the sum of the proportional set sizes (PSS) of its processes, in MB.

PSS divides each shared page among those who share it, so that the sum is what the environment really takes.
Source: smaps_rollup in proc(5). Reading other users' processes (kind's, which run as root) needs root.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil

from meshdojo.backends.base import Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.kind import KindBackend
from meshdojo.embedded import lifecycle
from meshdojo.kubelet.processes import PROCESSES, zygote_of


def environment_megabytes(backend: Backend) -> float:
    """PSS of all processes of the backend's cluster."""
    return sum(_pss(pid) for pid in _processes(backend)) / 1e6


def _processes(backend: Backend) -> list[int]:
    if isinstance(backend, EmbeddedBackend):
        # After a take-over the zygote is no child of the cluster process.
        roots = {lifecycle.require(backend.instance).pid, zygote_of(backend.instance.run / PROCESSES)}
        return list({pid for root in roots if root for pid in _with_descendants(root)})
    if isinstance(backend, KindBackend):
        inspected = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", f"{backend.cluster}-control-plane"],
            capture_output=True,
            text=True,
            check=True,
        )
        return _with_descendants(int(inspected.stdout))
    raise TypeError(f"do not know the processes of {backend.name}")


def _with_descendants(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
