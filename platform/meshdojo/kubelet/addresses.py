"""Which pod has which IP address."""

from __future__ import annotations

from meshdojo.network import Block

_FIRST = 256  # 127.x.1.0; below it are the node and room for others


class Addresses:
    """Pod IPs of a block. An address that was given back is not given out again before all others."""

    def __init__(self, block: Block) -> None:
        self._network = block.pods
        self._used: set[int] = set()
        self._next = _FIRST

    def reserve(self, ip: str) -> bool:
        """Take this address (of a pod that comes back after a restart). False if it is taken or foreign."""
        octets = [int(part) for part in ip.split(".")]
        index = octets[2] * 256 + octets[3] if len(octets) == 4 else -1
        if index < _FIRST or str(self._network[index]) != ip or index in self._used:
            return False
        self._used.add(index)
        self._next = max(self._next, index + 1)
        return True

    def allocate(self) -> str:
        """A free address. Raises RuntimeError when all 65,000 are taken."""
        size = self._network.num_addresses
        for step in range(size):
            index = _FIRST + (self._next - _FIRST + step) % (size - _FIRST - 1)
            if index not in self._used:
                self._used.add(index)
                self._next = index + 1
                return str(self._network[index])
        raise RuntimeError("no pod address is free")

    def release(self, ip: str) -> None:
        """Give an address back."""
        octets = ip.split(".")
        self._used.discard(int(octets[2]) * 256 + int(octets[3]))
