"""Services: cluster IPs and node ports.

Source: pkg/registry/core/service/storage (alloc.go, patchAllocatedValues, dropTypeDependentFields).
"""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.allocator import Allocator
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.strategies.strategy import Strategy

HEADLESS = "None"
_EXTERNAL_FIELDS = (
    "allocateLoadBalancerNodePorts",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
)
_CLUSTER_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")


class ServiceStrategy(Strategy):
    """Allocates what the spec leaves open."""

    def __init__(self, resource: Resource, allocator: Allocator) -> None:
        super().__init__(resource)
        self._allocator = allocator

    def prepare_create(self, obj: Object) -> Object:
        """A new service gets its addresses; its load balancer's status is empty."""
        return {**obj, "spec": self._allocated(obj["spec"]), "status": {"loadBalancer": {}}}

    def prepare_update(self, new: Object, old: Object) -> Object:
        """What was allocated before stays, unless the type no longer needs it."""
        new = super().prepare_update(new, old)
        spec = _released(_kept(new["spec"], old["spec"]), old["spec"])
        return {**new, "spec": self._allocated(spec)}

    def validate_create(self, obj: Object) -> list[FieldError]:
        """The addresses and ports that the client asked for must be free and in range."""
        address = obj["spec"].get("clusterIP")
        problems = []
        if address and address != HEADLESS and (why := self._allocator.problem_with_address(address)):
            problems.append(FieldError.invalid("spec.clusterIPs", [address], why))
        return problems + self._problems_with_ports(obj, set())

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        """Node ports that the service did not have before must be free and in range."""
        return self._problems_with_ports(new, {port.get("nodePort") for port in old["spec"].get("ports") or []})

    def _problems_with_ports(self, obj: Object, owned: set[int | None]) -> list[FieldError]:
        problems = []
        for index, port in enumerate(obj["spec"].get("ports") or []):
            wanted = port.get("nodePort")
            if wanted and wanted not in owned and (why := self._allocator.problem_with_port(wanted)):
                problems.append(FieldError.invalid(f"spec.ports[{index}].nodePort", wanted, why))
        return problems

    def _allocated(self, spec: dict[str, Any]) -> dict[str, Any]:
        if spec.get("type") == "ExternalName":
            return spec
        address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), "") or self._allocator.cluster_ip()
        spec = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", **spec}
        spec |= {"clusterIP": address, "clusterIPs": [address]}
        if _needs_node_ports(spec):
            spec["ports"] = [self._with_node_port(port) for port in spec.get("ports") or []]
        return spec

    def _with_node_port(self, port: dict[str, Any]) -> dict[str, Any]:
        return port if port.get("nodePort") else {**port, "nodePort": self._allocator.node_port()}


def _is_external(spec: dict[str, Any]) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _needs_node_ports(spec: dict[str, Any]) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def _kept(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """A client that PUTs a manifest again leaves the allocated fields out: they stay."""
    if "ExternalName" in (new.get("type"), old.get("type")):
        return new
    if not new.get("clusterIP"):
        without = {field: value for field, value in new.items() if field not in ("clusterIP", "clusterIPs")}
        new = without | {field: old[field] for field in ("clusterIP", "clusterIPs") if field in old}
    if _needs_node_ports(new) and _needs_node_ports(old):
        known = {
            (port.get("protocol", "TCP"), port.get("port")): port.get("nodePort") for port in old.get("ports") or []
        }
        new = {**new, "ports": [_with_known_port(port, known) for port in new.get("ports") or []]}
    return new


def _with_known_port(port: dict[str, Any], known: dict[tuple[str, Any], Any]) -> dict[str, Any]:
    before = known.get((port.get("protocol", "TCP"), port.get("port")))
    return {**port, "nodePort": before} if before and not port.get("nodePort") else port


def _released(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """A change of type gives up what the new type has no use for, if the client left it as it was."""
    if new.get("type") == "ExternalName" and old.get("type") != "ExternalName":
        unchanged = new.get("clusterIP") == old.get("clusterIP")
        return {k: v for k, v in new.items() if k not in _CLUSTER_FIELDS} if unchanged else new
    if _is_external(old) and not _is_external(new):
        unchanged = {field for field in _EXTERNAL_FIELDS if new.get(field) == old.get(field)}
        new = {field: value for field, value in new.items() if field not in unchanged}
    if _needs_node_ports(old) and not _needs_node_ports(new):
        ports = new.get("ports") or []
        before = {port.get("nodePort") for port in old.get("ports") or []}
        if all(port.get("nodePort") in before for port in ports):
            new = {**new, "ports": [{k: v for k, v in port.items() if k != "nodePort"} for port in ports]}
    return new
