"""Names that lead nowhere: hosts, ports, subsets, gateways, selectors, secrets, namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshdojo.istio import hosts
from meshdojo.istio.analysis.message import Message, Origin
from meshdojo.istio.analysis.source import Path
from meshdojo.istio.analysis.world import Item, World
from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.virtual_service import HTTPRouteDestination, RouteDestination, VirtualService

# Policies in this namespace are the whole mesh's.
MESH_NAMESPACE = "istio-system"


def not_found(origin: Origin, what: str, name: str) -> Message:
    """IST0101: what an object refers to is not there."""
    return Message("IST0101", "Error", origin, f'Referenced {what} not found: "{name}"')


def virtual_services(world: World) -> Iterator[Message]:
    """Gateways and destinations of VirtualServices."""
    gateways = {f"{item.namespace}/{item.name}" for item, _ in world.parsed(Gateway)}
    for item, service in world.parsed(VirtualService):
        for index, gateway in enumerate(service.spec.gateways):
            full = gateway if "/" in gateway else f"{item.namespace}/{gateway}"
            if gateway != hosts.MESH and full not in gateways:
                yield not_found(item.at("spec", "gateways", index), "gateway", gateway)
        for destination, mirror, path in destinations(service):
            yield from _destination(world, item.at(*path), item.namespace, destination, mirror)


def destinations(service: VirtualService) -> Iterator[tuple[Destination, bool, Path]]:
    """Every destination, whether it is a mirror, and the field whose line stands for it (() for one of `mirrors`)."""
    for number, route in enumerate(service.spec.http):
        yield from _listed("http", number, route.route)
        if route.mirror:
            yield route.mirror, True, ("spec", "http", number, "mirror", "host")
        yield from ((one.destination, True, ()) for one in route.mirrors)
    for number, tls in enumerate(service.spec.tls):
        yield from _listed("tls", number, tls.route)
    for number, tcp in enumerate(service.spec.tcp):
        yield from _listed("tcp", number, tcp.route)


def _listed(
    kind: str, number: int, routes: Iterable[RouteDestination | HTTPRouteDestination]
) -> Iterator[tuple[Destination, bool, Path]]:
    for index, one in enumerate(routes):
        yield one.destination, False, ("spec", kind, number, "route", index, "destination", "host")


def _destination(
    world: World, origin: Origin, namespace: str, destination: Destination, mirror: bool
) -> Iterator[Message]:
    # Without a cluster nobody knows which services there are: those in files are not taken for all of them.
    ports = world.ports(destination.host, namespace) if world.complete else []
    if ports is None:
        yield not_found(origin, "mirror host" if mirror else "host", destination.host)
        return
    if destination.subset and destination.subset not in _subsets(world, destination.host, namespace):
        what = "mirror+subset in destinationrule" if mirror else "host+subset in destinationrule"
        yield not_found(origin, what, f"{destination.host}+{destination.subset}")
    if destination.port and ports and destination.port.number not in ports:
        yield not_found(origin, "host:port", f"{destination.host}:{destination.port.number}")
    elif destination.port is None and ports and len(ports) > 1:
        shown = " ".join(map(str, ports))
        text = (
            f'This VirtualService routes to a service "{destination.host}" that exposes multiple ports [{shown}]. '
            "Specifying a port in the destination is required to disambiguate."
        )
        yield Message("IST0112", "Error", origin, text)


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
            yield not_found(item.at("spec", "selector", min(selector)), "selector", shown)
        for index, server in enumerate(gateway.spec.servers):
            name = server.tls.credential_name if server.tls else ""
            namespaces = {pod.namespace for pod in pods}
            if world.complete and name and not any((where, name) in secrets for where in namespaces):
                yield not_found(item.at("spec", "servers", index, "tls", "credentialName"), "credentialName", name)


def selectors(world: World) -> Iterator[Message]:
    """Workloads and namespaces that policies name."""
    if not world.complete:
        return
    for item, sidecar in world.parsed(Sidecar):
        labels = sidecar.spec.workload_selector.labels if sidecar.spec.workload_selector else {}
        if labels and not world.pods(labels, item.namespace):
            shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            yield not_found(item.at("spec", "workloadSelector", "labels", min(labels)), "selector", shown)
    namespaces = {one.name for one in world.all("Namespace")}
    for item, policy in world.parsed(AuthorizationPolicy):
        yield from _policy(world, item, policy, namespaces)


def _policy(world: World, item: Item, policy: AuthorizationPolicy, namespaces: set[str]) -> Iterator[Message]:
    for number, rule in enumerate(policy.spec.rules):
        for sender, one in enumerate(rule.from_):
            for index, name in enumerate(one.source.namespaces if one.source else ()):
                if "*" not in name and name not in namespaces:
                    path = ("spec", "rules", number, "from", sender, "source", "namespaces", index)
                    yield not_found(item.at(*path), "namespace", name)
    labels = policy.spec.selector.match_labels if policy.spec.selector else {}
    if item.namespace == MESH_NAMESPACE:
        concerned = world.pods(labels) if labels else True
    else:
        concerned = world.pods(labels, item.namespace)
    if not concerned:
        shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        text = f"No matching workloads for this resource with the following labels: {shown}"
        yield Message("IST0127", "Warning", item.origin, text)
