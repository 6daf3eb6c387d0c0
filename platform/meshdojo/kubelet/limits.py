"""Watches what containers use, since there are no cgroups: memory beyond the limit ends a container as OOMKilled.

Memory is what belongs to a container's processes alone (what they share with the zygote or other programs is not
counted), those of ``kubectl exec`` with it. A container that runs more than `PROCESSES` processes is ended, too, with
an event that says so. Reads nothing but /proc, as any user may for processes of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from meshdojo.kubernetes.schema import quantity

if TYPE_CHECKING:
    from meshdojo.kubelet.containers import Container

PROCESSES = 256
_SECONDS = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Without a limit of its own, a container gets half of the machine: a slip of the learner's must not take all of it.
_MOST_MEMORY = os.sysconf("SC_PHYS_PAGES") * _PAGE / 2


class LimitWatcher:
    """Looks at all running `containers()` twice a second."""

    def __init__(self, containers: Callable[[], Iterable[Container]]) -> None:
        self._containers = containers

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(_SECONDS)
            for container in list(self._containers()):
                if container.process is not None:
                    self._check(container)

    def _check(self, container: Container) -> None:
        pids = [pid for one in container.pids for pid in descendants(one)]
        if len(pids) > PROCESSES:
            container.too_many_processes(len(pids), PROCESSES)
        limit = memory_limit(container.spec) or _MOST_MEMORY
        if resident(pids) > limit and private(pids) > limit:
            container.out_of_memory = True
            container.kill()


def memory_limit(spec: dict[str, object]) -> float:
    """A container's memory limit in bytes, 0 without one."""
    resources = spec.get("resources")
    limits = resources.get("limits") if isinstance(resources, dict) else None
    return quantity.number(str(limits["memory"])) if isinstance(limits, dict) and "memory" in limits else 0.0


def descendants(pid: int) -> list[int]:
    """`pid` and all that it started."""
    found = [pid]
    for one in found:
        try:
            text = Path(f"/proc/{one}/task/{one}/children").read_text()
        except OSError:
            continue
        found += [int(child) for child in text.split()]
        if len(found) > 4 * PROCESSES:
            break
    return found


def resident(pids: Iterable[int]) -> int:
    """Resident bytes of the processes, shared ones included: quick, and never too small."""
    return sum(int(read(f"/proc/{pid}/statm", "0 0").split()[1]) for pid in pids) * _PAGE


def private(pids: Iterable[int]) -> int:
    """Bytes that belong to these processes alone."""
    return _mapped(pids, "Private_Dirty:", "Swap:")


def proportional(pids: Iterable[int]) -> int:
    """Bytes of the processes; of what several share each has its part."""
    return _mapped(pids, "Pss:")


def _mapped(pids: Iterable[int], *fields: str) -> int:
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup", "").splitlines():
            if line.startswith(fields):
                total += int(line.split()[1]) * 1024
    return total


def read(path: str, otherwise: str) -> str:
    """What a file in /proc says, or this where its process has ended."""
    try:
        return Path(path).read_text()
    except OSError:  # it has ended
        return otherwise
