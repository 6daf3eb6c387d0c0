"""The loopback addresses of an embedded environment: pure arithmetic, no sockets.

Every environment owns one *block* of 127.0.0.0/8, so that several run on one machine without knowing of
each other. On Linux an ordinary user may bind any 127.0.0.0/8 address, but no port below 1024: such ports are
served on a *mapped* port of the same address. Whoever opens a connection on behalf of a pod (Envoy's
endpoints, the runner's wrapped ``connect``, the kubelet's probes) uses `mapped_port`.

Each pod has two addresses: its pod IP, and a private *twin*. The application of an injected pod binds the
twin; the sidecar listens on the pod IP in front of it. The application of a pod without a sidecar binds the
pod IP itself, so ``podIP:mapped_port(port)`` is right for every client, whether or not the pod is injected. So does
the application of an injected pod on a port that its sidecar does not take (`Redirection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

BLOCKS = 50
PRIVILEGED_PORTS = 1024
# Above Linux's default ephemeral range (32768-60999), so that no outgoing connection takes a mapped port.
MAPPED_PORT_BASE = 61000

_POD_OCTET, _TWIN_OCTET, _SERVICE_OCTET = 64, 128, 200


def mapped_port(port: int) -> int:
    """The port that really serves `port` (1-65535) of a pod: itself, or 61000 + port below 1024."""
    return port if port >= PRIVILEGED_PORTS else MAPPED_PORT_BASE + port


def original_port(port: int) -> int:
    """The inverse of `mapped_port`."""
    return port - MAPPED_PORT_BASE if MAPPED_PORT_BASE < port < MAPPED_PORT_BASE + PRIVILEGED_PORTS else port


def twin(pod_ip: str) -> str:
    """The private address (127.128-177.x.y) that belongs to a pod IP (127.64-113.x.y)."""
    octets = pod_ip.split(".")
    octets[1] = str(int(octets[1]) - _POD_OCTET + _TWIN_OCTET)
    return ".".join(octets)


@dataclass(frozen=True)
class Redirection:
    """Which connections of an injected pod go through its sidecar: what the arguments of its ``istio-init`` say.

    None stands for all. Source: the flags of ``istio-iptables`` in istio/tools/istio-iptables/pkg/cmd/root.go, and the
    order of the rules in capture/run.go there.
    """

    inbound_ports: frozenset[int] | None = None
    inbound_excluded: frozenset[int] = frozenset()
    outbound_ranges: tuple[IPv4Network | IPv6Network, ...] | None = None
    outbound_ranges_excluded: tuple[IPv4Network | IPv6Network, ...] = ()
    outbound_ports: frozenset[int] = frozenset()
    outbound_ports_excluded: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Redirection:
        """``-b -d -i -x -q -o``, each followed by its value; what cannot be understood in a list is left out."""
        given = {flag: value for flag, value in pairwise(arguments) if flag.startswith("-")}
        return cls(
            inbound_ports=None if given.get("-b", "*") == "*" else _ports(given["-b"]),
            inbound_excluded=_ports(given.get("-d", "")),
            outbound_ranges=None if given.get("-i", "*") == "*" else _ranges(given["-i"]),
            outbound_ranges_excluded=_ranges(given.get("-x", "")),
            outbound_ports=_ports(given.get("-q", "")),
            outbound_ports_excluded=_ports(given.get("-o", "")),
        )

    def takes(self, port: int) -> bool:
        """Whether connections to a port of the pod go through the sidecar. A list of ports has no exceptions."""
        return port not in self.inbound_excluded if self.inbound_ports is None else port in self.inbound_ports

    def catches(self, ip: str, port: int) -> bool:
        """Whether a connection that the pod opens goes through the sidecar."""
        if port in self.outbound_ports_excluded or _within(ip, self.outbound_ranges_excluded):
            return False
        return port in self.outbound_ports or self.outbound_ranges is None or _within(ip, self.outbound_ranges)


EVERYTHING = Redirection()


def _ports(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part.strip().isdigit())


def _ranges(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for part in text.split(","):
        try:
            found.append(ip_network(part.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)


def _within(ip: str, ranges: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(ip_address(ip) in one for one in ranges)


@dataclass(frozen=True)
class Block:
    """The addresses of the environment with this index (0 to `BLOCKS` - 1)."""

    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < BLOCKS:
            raise ValueError(f"block index {self.index}: allowed are 0 to {BLOCKS - 1}")

    @property
    def pods(self) -> IPv4Network:
        """Pod IPs, 127.(64+i).0.0/16. The node itself is .0.1; pods start at .1.0."""
        return IPv4Network(f"127.{_POD_OCTET + self.index}.0.0/16")

    @property
    def twins(self) -> IPv4Network:
        """The pods' private addresses, 127.(128+i).0.0/16."""
        return IPv4Network(f"127.{_TWIN_OCTET + self.index}.0.0/16")

    @property
    def services(self) -> IPv4Network:
        """ClusterIPs, 127.(200+i).0.0/16. ``kubernetes.default`` is .0.1, cluster DNS .0.10."""
        return IPv4Network(f"127.{_SERVICE_OCTET + self.index}.0.0/16")

    @property
    def node(self) -> IPv4Address:
        """The node's address: the API server (6443) and node ports (30000-32767) listen here."""
        return self.pods[1]
