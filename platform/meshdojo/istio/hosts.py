"""Names of hosts and clusters: short names, wildcards, Istio's cluster names. Pure functions on strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DOMAIN = "cluster.local"
SERVICE_SUFFIX = f".svc.{DOMAIN}"
MESH = "mesh"


def fqdn(name: str, namespace: str) -> str:
    """The host of a Kubernetes service."""
    return f"{name}.{namespace}{SERVICE_SUFFIX}"


def resolve(host: str, namespace: str) -> str:
    """A host as an Istio object of that namespace means it: names without a dot are services next to it.

    Source: ResolveShortnameToFQDN in istio/pkg/config (wildcards and addresses stay as they are).
    """
    if not host or host.startswith("*") or "." in host:
        return host
    return fqdn(host, namespace)


def matches(pattern: str, host: str) -> bool:
    """Whether `host` falls under `pattern` (exact, ``*`` or ``*.suffix``). Both may be wildcards."""
    if pattern == "*":
        return True
    if not pattern.startswith("*"):
        return pattern == host
    return host.endswith(pattern[1:]) and host != pattern[1:]


def overlap(one: str, other: str) -> str | None:
    """The more specific of two hosts (either may be a wildcard) when some name falls under both."""
    if matches(other, one):
        return one
    return other if matches(one, other) else None


def most_specific(patterns: Iterable[str], host: str) -> str | None:
    """The pattern that fits `host` best: itself, else the longest wildcard."""
    fitting = [pattern for pattern in patterns if matches(pattern, host)]
    return max(fitting, key=lambda pattern: (not pattern.startswith("*"), len(pattern)), default=None)


@dataclass(frozen=True)
class ClusterName:
    """``outbound|PORT|SUBSET|HOST`` and ``inbound|PORT||``."""

    port: int
    host: str = ""
    subset: str = ""
    direction: str = "outbound"

    def __str__(self) -> str:
        return f"{self.direction}|{self.port}|{self.subset}|{self.host}"

    @property
    def sni(self) -> str:
        """The server name of mutual TLS between proxies."""
        return f"{self.direction}_.{self.port}_.{self.subset or ''}_.{self.host}"

    @classmethod
    def parse(cls, name: str) -> ClusterName | None:
        """None for names of another form (PassthroughCluster)."""
        parts = name.split("|")
        if len(parts) != 4 or not parts[1].isdigit():
            return None
        return cls(int(parts[1]), parts[3], parts[2], parts[0])
