"""Names that lead nowhere: hosts, ports, subsets, gateways, selectors, secrets, namespaces."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.istio import hosts
from meshdojo.istio.analysis.message import Message, Origin
from meshdojo.istio.analysis.world import Item, World
from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.virtual_service import VirtualService


def not_found(origin: Origin, what: str, name: str) -> Message:
    """IST0101: what an object refers to is not there."""
    return Message("IST0101", "Error", origin, f'Referenced {what} not found: "{name}"')


def virtual_services(world: World) -> Iterator[Message]:
    """Gateways and destinations of VirtualServices."""
    gateways = {f"{item.namespace}/{item.name}" for item, _ in world.parsed(Gateway)}
    for item, service in world.parsed(VirtualService):
        for gateway in service.spec.gateways:
            full = gateway if "/" in gateway else f"{item.namespace}/{gateway}"
            if gateway != hosts.MESH and full not in gateways:
                yield not_found(item.origin, "gateway", gateway)
        for destination, mirror in destinations(service):
            yield from _destination(world, item, destination, mirror)


def destinations(service: VirtualService) -> Iterator[tuple[Destination, bool]]:
    """Every destination once; mirrors are marked."""
    spec = service.spec
    found: dict[tuple[Destination, bool], None] = {}
    for route in spec.http:
        found.update(((one.destination, False), None) for one in route.route)
        found.update(((one.destination, True), None) for one in route.mirrors)
        if route.mirror:
            found[route.mirror, True] = None
    for routes in (*(one.route for one in spec.tls), *(one.route for one in spec.tcp)):
        found.update(((one.destination, False), None) for one in routes)
    yield from found


def _destination(world: World, item: Item, destination: Destination, mirror: bool) -> Iterator[Message]:
    if not world.complete and not world.services:
        ports: list[int] | None = []
    else:
        ports = world.ports(destination.host, item.namespace)
        if ports is None:
            yield not_found(item.origin, "mirror host" if mirror else "host", destination.host)
            return
    if destination.subset and destination.subset not in _subsets(world, destination.host, item.namespace):
        yield not_found(item.origin, "host+subset in destinationrule", f"{destination.host}+{destination.subset}")
    if destination.port and ports and destination.port.number not in ports:
        yield not_found(item.origin, "host:port", f"{destination.host}:{destination.port.number}")
    elif destination.port is None and ports and len(ports) > 1:
        shown = " ".join(map(str, ports))
        text = (
            f'This VirtualService routes to a service "{destination.host}" that exposes multiple ports [{shown}]. '
            "Specifying a port in the destination is required to disambiguate."
        )
        yield Message("IST0112", "Error", item.origin, text)


def _subsets(world: World, host: str, namespace: str) -> set[str]:
    full = hosts.resolve(host, namespace)
    return {
        subset.name
        for item, rule in world.parsed(DestinationRule)
        if hosts.matches(hosts.resolve(rule.spec.host, item.namespace), full)
        for subset in rule.spec.subsets
    }


def gateways(world: World) -> Iterator[Message]:
    """Selectors and secrets of Gateways."""
    secrets = {(one.namespace, one.name) for one in world.all("Secret")}
    for item, gateway in world.parsed(Gateway):
        selector = gateway.spec.selector
        pods = world.pods(selector) if selector else []
        if world.complete and selector and not pods:
            shown = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            yield not_found(item.origin, "selector", shown)
        for server in gateway.spec.servers:
            name = server.tls.credential_name if server.tls else ""
            namespaces = {pod.namespace for pod in pods}
            if world.complete and name and not any((where, name) in secrets for where in namespaces):
                yield not_found(item.origin, "credentialName", name)


def selectors(world: World) -> Iterator[Message]:
    """Workloads and namespaces that policies name."""
    if not world.complete:
        return
    for item, sidecar in world.parsed(Sidecar):
        labels = sidecar.spec.workload_selector.labels if sidecar.spec.workload_selector else {}
        if labels and not world.pods(labels, item.namespace):
            shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            yield not_found(item.origin, "selector", shown)
    namespaces = {one.name for one in world.all("Namespace")}
    for item, policy in world.parsed(AuthorizationPolicy):
        yield from _policy(world, item, policy, namespaces)


def _policy(world: World, item: Item, policy: AuthorizationPolicy, namespaces: set[str]) -> Iterator[Message]:
    sources = [one.source for rule in policy.spec.rules for one in rule.from_ if one.source]
    for name in {name for source in sources for name in source.namespaces}:
        if "*" not in name and name not in namespaces:
            yield not_found(item.origin, "namespace", name)
    labels = policy.spec.selector.match_labels if policy.spec.selector else {}
    if labels and not world.pods(labels, item.namespace):
        shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        text = f"No matching workloads for this resource with the following labels: {shown}"
        yield Message("IST0127", "Warning", item.origin, text)
