"""`Scope`: the part of the mesh that a proxy sees, by exportTo and by its Sidecar object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.mesh import MeshConfig, OutboundMode
from meshdojo.istio.models.destination_rule import DestinationRule, DestinationRuleSpec
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.service import Service, visible
from meshdojo.istio.snapshot import Snapshot, fits


@dataclass(frozen=True, eq=False)
class Rule:
    """The DestinationRules for a host, merged."""

    spec: DestinationRuleSpec
    serials: tuple[int, ...]
    origins: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scope:
    """What a proxy of `namespace` with these labels sees. Equal `key`, equal scope.

    `virtual_services` are in the order in which they are asked: those for this namespace alone before those for all.
    """

    key: tuple[object, ...]
    namespace: str
    mesh: MeshConfig
    services: Mapping[str, Service]
    virtual_services: tuple[Config[VirtualService], ...]
    destination_rules: tuple[Config[DestinationRule], ...]
    outbound_mode: OutboundMode
    _rules: dict[str, Rule | None] = field(default_factory=dict)

    def rule(self, host: str) -> Rule | None:
        """The DestinationRules that hold for a host: of the client's namespace, else the service's, else the root's.

        Source: getDestinationRule in istio/pilot/pkg/model/push_context.go.
        """
        if host not in self._rules:
            self._rules[host] = self._find_rule(host)
        return self._rules[host]

    def _find_rule(self, host: str) -> Rule | None:
        service = self.services.get(host)
        owner = service.namespace if service else ""
        for namespace in dict.fromkeys((self.namespace, owner, self.mesh.root_namespace)):
            found = self._rules_within(namespace, host)
            if found:
                return _merge(found)
        return None

    def _rules_within(self, namespace: str, host: str) -> list[Config[DestinationRule]]:
        candidates = {
            id(one): (hosts.resolve(one.object.spec.host, one.namespace), one)
            for one in self.destination_rules
            if one.namespace == namespace
        }
        best = hosts.most_specific((name for name, _ in candidates.values()), host)
        return [one for name, one in candidates.values() if name == best] if best is not None else []

    @cached_property
    def mesh_routes(self) -> tuple[tuple[str, Config[VirtualService]], ...]:
        """(host, VirtualService) for sidecars; a host belongs to the first that names it."""
        taken: dict[str, Config[VirtualService]] = {}
        for one in self.virtual_services:
            if not one.object.spec.gateways or hosts.MESH in one.object.spec.gateways:
                for host in one.object.spec.hosts:
                    taken.setdefault(hosts.resolve(host, one.namespace), one)
        return tuple(taken.items())

    def virtual_service(self, host: str) -> Config[VirtualService] | None:
        """The VirtualService that sidecars use for a host: the one that names it best."""
        best = hosts.most_specific((name for name, _ in self.mesh_routes), host)
        return dict(self.mesh_routes)[best] if best is not None else None


def _merge(found: list[Config[DestinationRule]]) -> Rule:
    """Several rules for one host in one namespace: the oldest one's policy, the subsets of all."""
    spec = found[0].object.spec
    for other in found[1:]:
        names = {subset.name for subset in spec.subsets}
        more = tuple(subset for subset in other.object.spec.subsets if subset.name not in names)
        policy = spec.traffic_policy or other.object.spec.traffic_policy
        spec = spec.model_copy(update={"subsets": spec.subsets + more, "traffic_policy": policy})
    return Rule(spec, tuple(one.serial for one in found), tuple(one.ref for one in found))


def sidecar_of(snapshot: Snapshot, namespace: str, labels: Mapping[str, str]) -> Config[Sidecar] | None:
    """The Sidecar object of a workload: one that selects it, else its namespace's, else the root namespace's."""
    own = snapshot.sidecars.within(namespace)
    selecting = (one for one in own if one.object.spec.workload_selector and _selects(one, labels))
    general = (one for one in own if not one.object.spec.workload_selector)
    root = snapshot.sidecars.within(snapshot.mesh.root_namespace)
    whole = (one for one in root if not one.object.spec.workload_selector)
    return next(selecting, None) or next(general, None) or next(whole, None)


def _selects(one: Config[Sidecar], labels: Mapping[str, str]) -> bool:
    selector = one.object.spec.workload_selector
    return selector is not None and fits(selector.labels, labels)


def scope_of(snapshot: Snapshot, proxy: Proxy, labels: Mapping[str, str]) -> Scope:
    """The scope of a proxy in a snapshot."""
    sidecar = sidecar_of(snapshot, proxy.namespace, labels) if proxy.role == "sidecar" else None
    rules = tuple(one for one in snapshot.destination_rules if _applies(one, proxy.namespace, labels))
    seen = {one.host: one for one in snapshot.services if one.visible_from(proxy.namespace)}
    exported = [one for one in snapshot.virtual_services if _exported(one, proxy.namespace)]
    routes = tuple(sorted(exported, key=_publicity))
    patterns = _egress(sidecar, proxy.namespace)
    if patterns is not None:
        seen = {host: one for host, one in seen.items() if _imported(patterns, one.namespace, host)}
        routes = tuple(one for one in routes if _route_imported(one, patterns))
    mode = snapshot.mesh.outbound_mode
    if sidecar is not None and (policy := sidecar.object.spec.outbound_traffic_policy) is not None:
        mode = policy.mode
    return Scope(
        key=scope_key(snapshot, proxy, labels),
        namespace=proxy.namespace,
        mesh=snapshot.mesh,
        services=seen,
        virtual_services=routes,
        destination_rules=rules,
        outbound_mode=mode,
    )


def scope_key(snapshot: Snapshot, proxy: Proxy, labels: Mapping[str, str]) -> tuple[object, ...]:
    """Equal for proxies that see the same, so that they share what is made from it."""
    sidecar = sidecar_of(snapshot, proxy.namespace, labels) if proxy.role == "sidecar" else None
    selecting = tuple(
        one.serial
        for one in snapshot.destination_rules.within(proxy.namespace)
        if one.object.spec.workload_selector and fits(one.object.spec.workload_selector.match_labels, labels)
    )
    return (
        proxy.role,
        proxy.namespace,
        sidecar.serial if sidecar else 0,
        selecting,
        snapshot.services.serial,
        snapshot.virtual_services.serial,
        snapshot.destination_rules.serial,
        snapshot.mesh.serial,
    )


def _applies(one: Config[DestinationRule], namespace: str, labels: Mapping[str, str]) -> bool:
    selector = one.object.spec.workload_selector
    if selector is not None and (one.namespace != namespace or not fits(selector.match_labels, labels)):
        return False
    return visible(one.object.spec.export_to, one.namespace, namespace)


def _exported(one: Config[VirtualService], namespace: str) -> bool:
    return visible(one.object.spec.export_to, one.namespace, namespace)


def _publicity(one: Config[VirtualService]) -> int:
    """The callers' own VirtualService comes before one that was exported to them, and that before one for everybody.

    So callers can decide otherwise for themselves. Among equals it is the oldest. Source: SelectVirtualServices in
    istio/pilot/pkg/model/virtualservice.go, initVirtualServices in push_context.go there.
    """
    export_to = one.object.spec.export_to
    if not export_to or "*" in export_to:
        return 2
    return 0 if "." in export_to or one.namespace in export_to else 1


def _egress(sidecar: Config[Sidecar] | None, namespace: str) -> list[tuple[str, str]] | None:
    """(namespace, host) patterns of a Sidecar's egress listeners; None when everything is seen."""
    if sidecar is None or not sidecar.object.spec.egress:
        return None
    patterns = []
    for listener in sidecar.object.spec.egress:
        for entry in listener.hosts:
            where, _, host = entry.rpartition("/")
            patterns.append((namespace if where in (".", "") else where, host))
    return patterns


def _imported(patterns: Iterable[tuple[str, str]], namespace: str, host: str) -> bool:
    return any(where in ("*", namespace) and hosts.matches(pattern, host) for where, pattern in patterns)


def _route_imported(one: Config[VirtualService], patterns: list[tuple[str, str]]) -> bool:
    names = [hosts.resolve(host, one.namespace) for host in one.object.spec.hosts]
    return any(
        where in ("*", one.namespace) and any(hosts.overlap(pattern, name) for name in names)
        for where, pattern in patterns
    )
