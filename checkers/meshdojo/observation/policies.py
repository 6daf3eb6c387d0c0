"""What Istio's resources say about a service: its routes with their weights and faults, its subsets, its mTLS mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshdojo.checks.pods import selects
from meshdojo.cluster.client import Object

ROOT_NAMESPACE = "istio-system"
# Of Istio, where nothing says otherwise.
DEFAULT_MTLS = "PERMISSIVE"


@dataclass(frozen=True)
class Config:
    """The resources that steer traffic, as the API server has them now."""

    virtual_services: tuple[Object, ...] = ()
    destination_rules: tuple[Object, ...] = ()
    peer_authentications: tuple[Object, ...] = ()
    gateways: tuple[Object, ...] = ()

    def routes_to(self, namespace: str, name: str) -> list[tuple[Object, dict[str, Any]]]:
        """The HTTP routes with this service among their destinations, each with its VirtualService."""
        return [
            (service, route)
            for service in self.virtual_services
            for route in service["spec"].get("http") or ()
            if any(_leads_to(one, service, namespace, name) for one in route.get("route") or ())
        ]

    def rules_for(self, namespace: str, name: str) -> list[Object]:
        """The DestinationRules for this service."""
        return [
            rule
            for rule in self.destination_rules
            if _same_host(rule["spec"].get("host", ""), rule["metadata"]["namespace"], namespace, name)
        ]

    def subset_labels(self, namespace: str, name: str) -> Mapping[str, Mapping[str, str]]:
        """The labels of each subset of this service."""
        return {
            subset["name"]: subset.get("labels") or {}
            for rule in self.rules_for(namespace, name)
            for subset in rule["spec"].get("subsets") or ()
        }

    def mtls(self, namespace: str, labels: Mapping[str, str]) -> str:
        """The mode for pods with these labels: the workload's, else the namespace's, else the mesh's policy."""
        modes = {3: "", 2: "", 1: ""}
        for policy in sorted(self.peer_authentications, key=_age, reverse=True):  # the oldest of a kind counts
            mode = (policy["spec"].get("mtls") or {}).get("mode") or "UNSET"
            chosen = (policy["spec"].get("selector") or {}).get("matchLabels") or {}
            where = policy["metadata"]["namespace"]
            if mode == "UNSET":
                continue
            if chosen and where == namespace and all(labels.get(key) == value for key, value in chosen.items()):
                modes[3] = mode
            elif not chosen and where == namespace and namespace != ROOT_NAMESPACE:
                modes[2] = mode
            elif not chosen and where == ROOT_NAMESPACE:
                modes[1] = mode
        return next((mode for mode in modes.values() if mode), DEFAULT_MTLS)


def _age(obj: Object) -> str:
    return str(obj["metadata"].get("creationTimestamp", ""))


def _leads_to(destination: dict[str, Any], service: Object, namespace: str, name: str) -> bool:
    host = (destination.get("destination") or {}).get("host", "")
    return _same_host(host, service["metadata"]["namespace"], namespace, name)


def _same_host(host: str, written_in: str, namespace: str, name: str) -> bool:
    """A short name means the namespace that it is written in."""
    parts = host.split(".")
    if len(parts) == 1:
        return host == name and written_in == namespace
    return parts[0] == name and parts[1] == namespace and parts[2:] in ([], ["svc"], ["svc", "cluster", "local"])


def weights(config: Config, namespace: str, name: str, pods: Sequence[Object]) -> float | None:
    """The per cent of a service's requests that its last route gives to pods like these; None where no route says.

    The last route without a condition is the one for everybody. A destination without a subset means all pods.
    """
    for _service, route in reversed(config.routes_to(namespace, name)):
        if route.get("match"):
            continue
        destinations = route["route"]
        if len(destinations) == 1 and not (destinations[0].get("destination") or {}).get("subset"):
            return None
        subsets = config.subset_labels(namespace, name)
        total = sum(_weight(one, len(destinations)) for one in destinations) or 1
        mine = 0.0
        for one in destinations:
            labels = subsets.get((one.get("destination") or {}).get("subset", ""))
            if labels and pods and selects(labels, pods[0]):
                mine += _weight(one, len(destinations))
        return 100 * mine / total
    return None


def _weight(destination: dict[str, Any], of: int) -> float:
    return float(destination.get("weight", 100 if of == 1 else 0))


def faults(config: Config, namespace: str, name: str) -> list[str]:
    """The faults that routes to this service inject, in words."""
    found: list[str] = []
    for _service, route in config.routes_to(namespace, name):
        fault, condition = route.get("fault") or {}, " if a condition is met" if route.get("match") else ""
        if delay := fault.get("delay"):
            found.append(f"delay {delay.get('fixedDelay', '?')}, {_percent(delay)}{condition}")
        if abort := fault.get("abort"):
            what = abort.get("httpStatus") or abort.get("grpcStatus") or "?"
            found.append(f"abort {what}, {_percent(abort)}{condition}")
    return list(dict.fromkeys(found))


def _percent(fault: dict[str, Any]) -> str:
    # An abort or delay without a percentage never fires (see the field in Istio's reference).
    value = (fault.get("percentage") or {}).get("value", 0)
    return f"{value:g} %"


def notes(config: Config, namespace: str, name: str) -> list[str]:
    """What else routes and rules set for this service: timeouts, retries, mirrors, circuit breakers."""
    found: list[str] = []
    for _service, route in config.routes_to(namespace, name):
        if route.get("timeout"):
            found.append(f"timeout {route['timeout']}")
        if (route.get("retries") or {}).get("attempts"):
            found.append(f"{route['retries']['attempts']} retries")
        for mirror in [route.get("mirror"), *(one.get("destination") for one in route.get("mirrors") or ())]:
            if mirror:
                found.append(f"mirrored to {mirror.get('subset') or mirror.get('host')}")
    for rule in config.rules_for(namespace, name):
        policy = rule["spec"].get("trafficPolicy") or {}
        if policy.get("outlierDetection") is not None:
            found.append("outlier detection")
        if policy.get("connectionPool"):
            found.append("connection pool limits")
        if mode := (policy.get("tls") or {}).get("mode"):
            found.append(f"callers use tls {mode}")
    return list(dict.fromkeys(found))
