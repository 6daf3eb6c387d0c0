"""What containers and the node use: CPU as a rate over the last seconds, memory as their share of what is resident.

What a real kubelet reads from cgroups, and metrics-server asks it for. Here it is read from /proc: the CPU time of a
container's processes (of those that have ended, too, if their parents have waited for them), and their proportional set
sizes: pages that they share with others count for a part only, so that the sum is what is really taken.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from meshdojo.kubelet.limits import descendants, proportional, read
from meshdojo.kubernetes.node import NodeUsage, Usage

RESOLUTION_SECONDS = 15.0
"""How far samples lie apart: metrics-server's own ``--metric-resolution``."""

_TICKS = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted after "(comm) ": utime, stime, cutime, cstime; starttime.
_TIMES, _START = slice(11, 15), 19
NODE = "node"


class Measured(Protocol):
    """A container, as far as it is measured."""

    @property
    def identity(self) -> str:
        """By which it is told from the others."""
        ...

    @property
    def pids(self) -> list[int]:
        """Its first processes; their descendants are its own, too."""
        ...


class UsageMeter:
    """Takes samples of all `containers` (by pod and name), and of the node's own processes `roots`."""

    def __init__(
        self, containers: Callable[[], Mapping[tuple[str, str, str], Measured]], roots: Callable[[], Iterable[int]]
    ) -> None:
        self._containers = containers
        self._roots = roots
        self._samples: dict[tuple[str, int], deque[tuple[float, float]]] = {}

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            pids = self._pids()
            await asyncio.to_thread(self._sample, pids)
            await asyncio.sleep(RESOLUTION_SECONDS)

    async def measure(self) -> NodeUsage:
        """What is used now. Containers that do not run are left out."""
        where = {one.identity: key for key, one in self._containers().items()}
        found = await asyncio.to_thread(self._measure, self._pids())
        pods: dict[tuple[str, str], dict[str, Usage]] = {}
        for identity, usage in found.items():
            if identity in where:
                namespace, pod, container = where[identity]
                pods.setdefault((namespace, pod), {})[container] = usage
        return NodeUsage(found[NODE], pods)

    def _pids(self) -> dict[str, list[int]]:
        found = {one.identity: one.pids for one in self._containers().values()}
        return {NODE: list(self._roots()), **{identity: pids for identity, pids in found.items() if pids}}

    def _sample(self, pids: Mapping[str, list[int]]) -> None:
        kept = {}
        for identity, first in pids.items():
            key = (identity, first[0])
            kept[key] = self._samples.get(key) or deque(maxlen=2)
            kept[key].append((time.monotonic(), cpu_seconds(all_of(first))))
        self._samples = kept

    def _measure(self, pids: Mapping[str, list[int]]) -> dict[str, Usage]:
        return {identity: self._usage(identity, first) for identity, first in pids.items()}

    def _usage(self, identity: str, first: list[int]) -> Usage:
        processes = all_of(first)
        now, used = time.monotonic(), cpu_seconds(processes)
        samples = self._samples.get((identity, first[0]))
        # Without a sample: since the process began.
        began, before = samples[0] if samples else (now - age(first[0]), 0.0)
        window = max(now - began, 1 / _TICKS)
        return Usage(max(0.0, used - before) / window, proportional(processes), window)


def all_of(first: Iterable[int]) -> set[int]:
    """These processes, and all that they started."""
    return {pid for one in first for pid in descendants(one)}


def cpu_seconds(pids: Iterable[int]) -> float:
    """What the processes have used since they began."""
    return sum(sum(map(int, _stat(pid)[_TIMES])) for pid in pids) / _TICKS


def age(pid: int) -> float:
    """Seconds since a process began; 0 when it is gone."""
    fields = _stat(pid)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_START]) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    return read(f"/proc/{pid}/stat", "").rpartition(") ")[2].split()
