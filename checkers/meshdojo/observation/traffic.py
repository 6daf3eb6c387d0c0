"""Rates, errors and latency of each way, from the entries of all proxies, over the last seconds.

A request between two workloads is logged by the caller's proxy (outbound) and by the callee's (inbound). It is counted
once: where the caller has a proxy by that one, which also sees requests that never arrive; else by the callee's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshdojo.observation.accesslog import Entry, address
from meshdojo.observation.workloads import Group, Workload

WINDOW_SECONDS = 5.0
LATENCIES = 500
OUTSIDE = "outside"

Addresses = Mapping[str, tuple[Group, Workload, object]]


@dataclass(frozen=True)
class Way:
    """From one node to another; `version` tells the workloads of the target apart ('' when it was never reached)."""

    source: str
    target: str
    version: str = ""


@dataclass
class Flow:
    """What went along a way: moments and outcomes within the window. `encrypted`: what the last request was."""

    moments: deque[tuple[float, bool, float]] = field(default_factory=lambda: deque(maxlen=20_000))
    total: int = 0
    failed: int = 0
    last: float = 0.0
    encrypted: bool | None = None
    codes: dict[int, int] = field(default_factory=dict)

    def add(self, now: float, entry: Entry) -> None:
        """Count a request that became known at `now`."""
        self.moments.append((now, entry.failed, entry.duration))
        self.total += 1
        self.failed += entry.failed
        self.last = now
        self.codes[entry.code] = self.codes.get(entry.code, 0) + 1

    def figures(self, now: float) -> Figures:
        """The window that ends at `now`."""
        while self.moments and self.moments[0][0] <= now - WINDOW_SECONDS:
            self.moments.popleft()
        count = len(self.moments)
        failed = sum(bad for _, bad, _ in self.moments)
        durations = sorted(duration for _, _, duration in list(self.moments)[-LATENCIES:])
        return Figures(
            rate=count / WINDOW_SECONDS,
            errors=failed / count if count else 0.0,
            median=_quantile(durations, 0.5),
            p95=_quantile(durations, 0.95),
        )


@dataclass(frozen=True)
class Figures:
    """Requests a second, the share of them that failed, and how long they took in milliseconds."""

    rate: float
    errors: float
    median: float
    p95: float


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Traffic:
    """The flows of a mesh. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.flows: dict[Way, Flow] = {}

    def add(
        self, entry: Entry, reporter: tuple[Group, Workload], addresses: Addresses, hosts: Mapping[str, str]
    ) -> None:
        """Count what a proxy of `reporter` logged. `hosts`: the node of each service's full name."""
        group, workload = reporter
        now = self._clock()
        if entry.direction == "inbound":
            self._inbound(now, entry, group, workload, addresses)
            return
        if workload.gateway:
            caller = addresses.get(address(entry.caller))
            self._flow(Way(caller[0].id if caller else OUTSIDE, group.id, workload.name)).add(now, entry)
        reached = addresses.get(address(entry.upstream)) if entry.upstream else None
        if reached:
            target, version = hosts.get(entry.host, reached[0].id), reached[1].name
        elif entry.host in hosts:
            target, version = hosts[entry.host], ""
        elif entry.direction == "outbound":
            target, version = f"external//{entry.host or entry.authority.partition(':')[0] or 'unknown'}", ""
        else:
            return  # answered by the proxy itself, for nobody's sake: it counts at the gateway only
        self._flow(Way(group.id, target, version)).add(now, entry)

    def _inbound(self, now: float, entry: Entry, group: Group, workload: Workload, addresses: Addresses) -> None:
        if entry.caller.endswith(":0"):
            # Not the peer's address but the one that a gateway put into x-forwarded-for.
            for way in list(self.flows):
                if way.target == group.id and way.version == workload.name and way.source.startswith("gateway/"):
                    self.flows[way].encrypted = entry.encrypted
            return
        caller = addresses.get(address(entry.caller))
        if caller is None:
            return
        way = Way(caller[0].id, group.id, workload.name)
        if caller[1].sidecars == 0 and not caller[1].gateway:
            self._flow(way).add(now, entry)
        if way in self.flows:
            self.flows[way].encrypted = entry.encrypted

    def _flow(self, way: Way) -> Flow:
        return self.flows.setdefault(way, Flow())
