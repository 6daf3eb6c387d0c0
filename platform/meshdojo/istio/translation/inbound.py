"""The ports on which a sidecar takes traffic for its application, and the mode of mutual TLS on each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from meshdojo.istio.bootstrap import AGENT_PORT, HEALTH_PORT, STATS_PORT
from meshdojo.istio.configs import Config
from meshdojo.istio.models.peer_authentication import MutualTLS, PeerAuthentication
from meshdojo.istio.service import Port, Protocol, Service
from meshdojo.istio.snapshot import Snapshot, fits
from meshdojo.istio.workload import Workload

Mode = Literal["DISABLE", "PERMISSIVE", "STRICT"]
OWN_PORTS = (AGENT_PORT, HEALTH_PORT, STATS_PORT)


@dataclass(frozen=True)
class Inbound:
    """A port of the application. `service` is None for a container port that no service leads to."""

    number: int
    protocol: Protocol
    service: Service | None
    port: Port | None
    mode: Mode


def ports(snapshot: Snapshot, pod: Workload) -> list[Inbound]:
    """All ports of an application, by number: targets of services that select the pod, then container ports.

    Where several services lead to one port, the oldest decides how it is spoken to.
    """
    policies = applying(snapshot, pod)
    found: dict[int, Inbound] = {}
    for service in snapshot.services.selecting(pod):
        for port in service.ports:
            number = pod.number(port.target)
            if number is not None and number not in found:
                found[number] = Inbound(number, port.protocol, service, port, mode(policies, number))
    for number in pod.numbers:
        if number not in found:
            found[number] = Inbound(number, Protocol.AUTO, None, None, mode(policies, number))
    # What the sidecar is not given it need not serve; the application has the pod's address for itself there.
    return [found[number] for number in sorted(found) if number not in OWN_PORTS and pod.redirection.takes(number)]


@dataclass(frozen=True)
class Policies:
    """The PeerAuthentications that hold for a pod, from the mesh's to its own."""

    configs: tuple[Config[PeerAuthentication], ...]

    @property
    def serials(self) -> tuple[int, ...]:
        """What changes when one of the policies does: part of the key under which a translation is kept."""
        return tuple(one.serial for one in self.configs)


def applying(snapshot: Snapshot, pod: Workload) -> Policies:
    """At most one for the mesh, one for the namespace and one for the pod; the oldest counts.

    Source: ComposePeerAuthentication in istio/pilot/pkg/security/authn.
    """
    root = snapshot.mesh.root_namespace
    everywhere = _first(one for one in snapshot.peer_authentications.within(root) if not _selector(one))
    own = snapshot.peer_authentications.within(pod.namespace)
    general = _first(one for one in own if not _selector(one)) if pod.namespace != root else None
    special = _first(one for one in own if _selector(one) and fits(_selector(one), pod.labels))
    return Policies(tuple(one for one in (everywhere, general, special) if one is not None))


def mode(policies: Policies, port: int) -> Mode:
    """The mode on a port of the workload. The more special one counts, UNSET asks the next, PERMISSIVE is the end."""
    found: Mode = "PERMISSIVE"
    for one in policies.configs:
        found = _set(one.object.spec.mtls, found)
        if _selector(one):
            found = _set(one.object.spec.port_level_mtls.get(str(port)), found)
    return found


def _set(given: MutualTLS | None, inherited: Mode) -> Mode:
    return inherited if given is None or given.mode == "UNSET" else given.mode


def _selector(one: Config[PeerAuthentication]) -> dict[str, str]:
    return one.object.spec.selector.match_labels if one.object.spec.selector else {}


def _first(found: Iterable[Config[PeerAuthentication]]) -> Config[PeerAuthentication] | None:
    return next(iter(found), None)
