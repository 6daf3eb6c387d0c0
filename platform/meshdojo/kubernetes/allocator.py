"""Cluster IPs and node ports of services.

What is taken is read from the stored services, so nothing needs to be released or repaired. What was handed out a
moment ago, to a service that is not stored yet, is remembered beside that.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

NODE_PORTS = range(30000, 32768)
# The lowest addresses are for services that ask for one (kubernetes, cluster DNS), as in the real allocator.
_RESERVED_ADDRESSES = 256
_REMEMBERED = 64


class Exhausted(Exception):
    """Nothing is left to hand out."""


class Allocator:
    """Hands out addresses of `block.services` and ports of 30000-32767."""

    def __init__(self, store: Store, block: Block) -> None:
        self._store = store
        self.block = block
        self._recent: deque[str | int] = deque(maxlen=_REMEMBERED)

    def cluster_ip(self) -> str:
        """A free cluster IP. Raises Exhausted."""
        network = self.block.services
        taken = {*self._recent, *self._addresses()}
        choices = range(_RESERVED_ADDRESSES, network.num_addresses - 1)
        address = self._pick((str(network[choice]) for choice in _shuffled(choices)), taken)
        return str(address)

    def node_port(self) -> int:
        """A free node port. Raises Exhausted."""
        return int(self._pick(_shuffled(NODE_PORTS), {*self._recent, *self._node_ports()}))

    def _pick(self, candidates: Iterable[str | int], taken: set[str | int]) -> str | int:
        for candidate in candidates:
            if candidate not in taken:
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
        taken = address in self._addresses()
        return f"failed to allocate IP {address}: provided IP is already allocated" if taken else ""

    def problem_with_port(self, port: int) -> str:
        """Why a service cannot have the node port it asks for; '' when it can."""
        if port not in NODE_PORTS:
            span = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            return f"provided port is not in the valid range. The range of valid ports is {span}"
        return "provided port is already allocated" if port in self._node_ports() else ""

    def _services(self) -> list[Object]:
        return self._store.list("services")

    def _addresses(self) -> set[str]:
        return {service["spec"].get("clusterIP", "") for service in self._services()}

    def _node_ports(self) -> set[int]:
        return {port.get("nodePort", 0) for service in self._services() for port in service["spec"].get("ports") or []}


def _shuffled(choices: range) -> Iterator[int]:
    """Every choice once, from a random start."""
    start = random.randrange(len(choices))
    for offset in range(len(choices)):
        yield choices[(start + offset) % len(choices)]
