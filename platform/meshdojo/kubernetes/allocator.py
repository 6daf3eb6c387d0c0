"""Cluster IPs and node ports of services.

What is taken follows from the stored services: counted once at the start and then with each change, so that nothing
needs to be released or repaired, and a service costs the same however many there are. What was handed out a moment
ago, to a service that is not stored yet, is remembered beside that.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.store import Change, Store
from meshdojo.network import Block

STORAGE = "services"
NODE_PORTS = range(30000, 32768)
# The lowest addresses are for services that ask for one (kubernetes, cluster DNS), as in the real allocator.
_RESERVED_ADDRESSES = 256
_REMEMBERED = 64


class Exhausted(Exception):
    """Nothing is left to hand out."""


class Allocator:
    """Hands out addresses of `block.services` and ports of 30000-32767."""

    def __init__(self, store: Store, block: Block) -> None:
        self.block = block
        self._recent: deque[str | int] = deque(maxlen=_REMEMBERED)
        # How often: a service may have the same node port for TCP and for UDP.
        self._taken: Counter[str | int] = Counter()
        for service in store.list(STORAGE):
            self._count(service, 1)
        store.follow(STORAGE, self._follow)

    def _follow(self, change: Change) -> None:
        if change.type == "DELETED":
            self._count(change.object, -1)
            return
        if change.previous is not None:
            self._count(change.previous, -1)
        self._count(change.object, 1)

    def _count(self, service: Object, by: int) -> None:
        for one in _allocated(service):
            self._taken[one] += by
            if not self._taken[one]:
                del self._taken[one]

    def cluster_ip(self) -> str:
        """A free cluster IP. Raises Exhausted."""
        network = self.block.services
        choices = range(_RESERVED_ADDRESSES, network.num_addresses - 1)
        address = self._pick(str(network[choice]) for choice in _shuffled(choices))
        return str(address)

    def node_port(self) -> int:
        """A free node port. Raises Exhausted."""
        return int(self._pick(_shuffled(NODE_PORTS)))

    def _pick(self, candidates: Iterable[str | int]) -> str | int:
        for candidate in candidates:
            if candidate not in self._taken and candidate not in self._recent:
                self._recent.append(candidate)
                return candidate
        raise Exhausted

    def problem_with_address(self, address: str) -> str:
        """Why a service cannot have the cluster IP it asks for; '' when it can."""
        try:
            inside = IPv4Address(address) in self.block.services
        except ValueError:
            return ""  # not an address at all: validation says so
        if not inside:
            return f"failed to allocate IP {address}: the provided network does not match the current range"
        taken = address in self._taken
        return f"failed to allocate IP {address}: provided IP is already allocated" if taken else ""

    def problem_with_port(self, port: int) -> str:
        """Why a service cannot have the node port it asks for; '' when it can."""
        if port not in NODE_PORTS:
            span = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            return f"provided port is not in the valid range. The range of valid ports is {span}"
        return "provided port is already allocated" if port in self._taken else ""


def _allocated(service: Object) -> list[str | int]:
    """The cluster IP and the node ports that a stored service has."""
    spec = service["spec"]
    ports = [port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")]
    address = spec.get("clusterIP")
    return [address, *ports] if address else ports


def _shuffled(choices: range) -> Iterator[int]:
    """Every choice once, from a random start."""
    start = random.randrange(len(choices))
    for offset in range(len(choices)):
        yield choices[(start + offset) % len(choices)]
