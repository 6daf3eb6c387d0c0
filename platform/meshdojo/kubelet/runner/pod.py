"""Which pod a process belongs to, as the kubelet's environment variables say."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshdojo import network


@dataclass(frozen=True)
class Pod:
    """The addresses and the name of the pod that this process runs in."""

    ip: str
    namespace: str
    hostname: str
    resolver: str
    admin: str  # the Unix socket of Envoy's admin interface, where the pod has one
    sidecar: bool
    redirection: network.Redirection = network.EVERYTHING
    twin: str = field(init=False)
    _octet: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twin", network.twin(self.ip))
        object.__setattr__(self, "_octet", int(self.ip.split(".")[1]))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Pod | None:
        """The pod that ``MESHDOJO_POD_IP`` and its companions describe, or None outside a pod."""
        ip, run = environ.get("MESHDOJO_POD_IP"), environ.get("MESHDOJO_RUN")
        if not ip or not run:
            return None
        return cls(
            ip=ip,
            namespace=environ.get("MESHDOJO_POD_NAMESPACE", "default"),
            hostname=environ.get("HOSTNAME", ""),
            resolver=f"{run}/network.sock",
            admin=f"{run}/pods/{environ.get('MESHDOJO_POD_UID', '')}/admin.sock",
            sidecar=environ.get("MESHDOJO_SIDECAR") == "1",
            redirection=network.Redirection.parse(shlex.split(environ.get("MESHDOJO_REDIRECTION", ""))),
        )

    def served(self, port: int) -> str:
        """The address that an app of this pod really binds when it asks for all addresses (port 0: any port)."""
        return self.twin if self.sidecar and (port == 0 or self.redirection.takes(port)) else self.ip

    def is_pod(self, ip: str) -> bool:
        """Whether `ip` is a pod (or the node) of this environment."""
        return ip.startswith(f"127.{self._octet}.")

    def is_service(self, ip: str) -> bool:
        """Whether `ip` is a ClusterIP of this environment."""
        return ip.startswith(f"127.{self._octet + 136}.")
