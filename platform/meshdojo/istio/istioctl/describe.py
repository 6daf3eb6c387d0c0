"""``istioctl x describe pod`` and ``service``: what of Istio's configuration concerns a workload."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio import hosts
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.destination_rule import DestinationRule, TrafficPolicy
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.virtual_service import HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService
from meshdojo.istio.service import select_protocol
from meshdojo.istio.workload import has_sidecar

JSON = dict[str, Any]
K = TypeVar("K", bound=Kind)
LINE = "-" * 20
ROOT = "istio-system"


@dataclass(frozen=True)
class Mesh:
    """What is needed of the cluster, for a namespace from which it is looked at."""

    namespace: str
    pods: list[JSON]
    services: list[JSON]
    rules: list[DestinationRule]
    routes: list[VirtualService]
    authentications: list[PeerAuthentication]

    def shown(self, name: str, namespace: str) -> str:
        """A name, with its namespace where it is another one."""
        return name if namespace == self.namespace else f"{name}.{namespace}"


def pod(invocation: Invocation) -> int:
    """``istioctl experimental describe pod``. Raises `CommandError`."""
    if not invocation.arguments:
        raise CommandError("expecting pod name")
    return _describe(invocation, "pods", pod_lines)


def service(invocation: Invocation) -> int:
    """``istioctl experimental describe service``. Raises `CommandError`."""
    if not invocation.arguments:
        raise CommandError("expecting service name")
    return _describe(invocation, "services", lambda obj, mesh: service_lines(obj, mesh, None))


def _describe(invocation: Invocation, resource: str, lines: Any) -> int:
    name, _, where = invocation.arguments[0].partition(".")

    async def look(client: HTTPClient) -> tuple[JSON, Mesh]:
        namespace = cluster.namespace(invocation, client)
        obj = await client.get(resource, name, where or namespace)
        return obj, await _mesh(client, namespace)

    for line in lines(*cluster.run(invocation, look)):
        print(line)
    return 0


async def _mesh(client: HTTPClient, namespace: str) -> Mesh:
    names = ("pods", "services", *(one.TYPE.resource for one in (DestinationRule, VirtualService, PeerAuthentication)))
    pods, services, rules, routes, authentications = await asyncio.gather(*(_list(client, name) for name in names))
    return Mesh(
        namespace,
        pods,
        services,
        [*_parsed(DestinationRule, rules)],
        [*_parsed(VirtualService, routes)],
        [*_parsed(PeerAuthentication, authentications)],
    )


async def _list(client: HTTPClient, resource: str) -> list[JSON]:
    try:
        return (await client.list(resource)).items
    except StatusError as error:
        if cluster.is_missing(error):  # before Istio is installed
            return []
        raise


def _parsed(kind: type[K], objects: Iterable[JSON]) -> Iterator[K]:
    for one in objects:
        try:
            yield kind.parse(one)
        except NotParsed:
            continue


def pod_lines(pod: JSON, mesh: Mesh) -> Iterator[str]:
    """The pod, the services that lead to it, and its mode of mutual TLS."""
    metadata, spec = pod["metadata"], pod["spec"]
    name, namespace = metadata["name"], metadata["namespace"]
    revision = (metadata.get("annotations") or {}).get("istio.io/rev", "")
    yield f"Pod: {mesh.shown(name, namespace)}"
    yield f"   Pod Revision: {revision}"
    yield _pod_ports(spec)
    in_mesh = has_sidecar(spec)
    if not in_mesh:
        yield f"WARNING: {name} is not part of mesh; no Istio sidecar"
    selecting = [one for one in mesh.services if _selects(one, pod)]
    if not selecting:
        yield (
            f"Warning: No Kubernetes Services select pod {name} "
            "(see https://istio.io/docs/setup/kubernetes/additional-setup/requirements/ )"
        )
    yield LINE
    for one in selecting:
        yield from service_lines(one, mesh, pod)
    if in_mesh:
        if selecting:
            yield LINE
        yield from _authentication(pod, mesh)


def _pod_ports(spec: JSON) -> str:
    ports = [
        f"{port['containerPort']} ({container['name']})"
        for container in spec["containers"]
        for port in container.get("ports") or ()
    ]
    return f"   Pod Ports: {', '.join(ports)}" if ports else "   Pod does not expose ports"


def _selects(service: JSON, pod: JSON) -> bool:
    selector = service["spec"].get("selector") or {}
    same = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and bool(selector) and selector.items() <= (pod["metadata"].get("labels") or {}).items()


def service_lines(service: JSON, mesh: Mesh, pod: JSON | None) -> Iterator[str]:
    """A service's ports, its DestinationRules and the VirtualServices that route to it (or to `pod`)."""
    metadata = service["metadata"]
    yield f"Service: {mesh.shown(metadata['name'], metadata['namespace'])}"
    ports = service["spec"].get("ports") or []
    pods = [pod] if pod else [one for one in mesh.pods if _selects(service, one)]
    for port in ports:
        yield f"   Port: {_port(port, pods)}"
    for port in ports:
        inner = [*_configuration(service, mesh, pods, int(port["port"]))]
        if len(ports) > 1:
            yield f"{port['port']}:"
            inner = [f"   {line}" for line in inner]
        yield from inner


def _port(port: JSON, pods: list[JSON]) -> str:
    name, number = str(port.get("name") or ""), int(port["port"])
    protocol = select_protocol(number, name, port.get("appProtocol"), port.get("protocol", "TCP")).value
    shown = "UnsupportedProtocol" if protocol.lower() in ("", "auto", "unsupported") else protocol.upper()
    return f"{name} {number}/{shown} targets pod port {_target(port, pods)}"


def _target(port: JSON, pods: list[JSON]) -> int | str:
    """The number of the pods' port; a name stays one when no pod has a port of that name."""
    target: int | str = port["targetPort"] if "targetPort" in port else port["port"]
    if isinstance(target, int):
        return target
    named = (
        int(one["containerPort"])
        for pod in pods
        for container in pod["spec"]["containers"]
        for one in container.get("ports") or ()
        if one.get("name") == target
    )
    return next(named, target)


def _configuration(service: JSON, mesh: Mesh, pods: list[JSON], port: int) -> Iterator[str]:
    metadata = service["metadata"]
    host = hosts.fqdn(metadata["name"], metadata["namespace"])
    subsets: dict[str, bool] = {}
    for rule in mesh.rules:
        if hosts.matches(hosts.resolve(rule.spec.host, rule.namespace), host):
            yield from _rule(rule, mesh, pods, subsets)
    for route in mesh.routes:
        in_mesh = not route.spec.gateways or hosts.MESH in route.spec.gateways
        if in_mesh and any(hosts.matches(hosts.resolve(one, route.namespace), host) for one in route.spec.hosts):
            yield from _routes(route, mesh, host, subsets)


def _rule(rule: DestinationRule, mesh: Mesh, pods: list[JSON], subsets: dict[str, bool]) -> Iterator[str]:
    """`subsets` is filled: which of them have one of the pods."""
    yield f'DestinationRule: {mesh.shown(rule.name, rule.namespace)} for "{rule.spec.host}"'
    labels = [(one["metadata"].get("labels") or {}) for one in pods]
    for subset in rule.spec.subsets:
        subsets[subset.name] = any(subset.labels.items() <= one.items() for one in labels)
    matching = [subset.name for subset in rule.spec.subsets if subsets[subset.name]]
    others = [subset.name for subset in rule.spec.subsets if not subsets[subset.name]]
    if matching:
        yield f"   Matching subsets: {','.join(matching)}"
        if others:
            yield f"      (Non-matching subsets {','.join(others)})"
    elif others:
        yield f"   WARNING POD DOES NOT MATCH ANY SUBSETS.  (Non matching subsets {','.join(others)})"
    yield from _policy(rule.spec.traffic_policy)


def _policy(policy: TrafficPolicy | None) -> Iterator[str]:
    if policy is None:
        yield "   No Traffic Policy"
        return
    if policy.tls:
        yield f"   Traffic Policy TLS Mode: {policy.tls.mode}"
    parts = {
        "load balancer": policy.load_balancer,
        "connection pool": policy.connection_pool,
        "outlier detection": policy.outlier_detection,
    }
    given = [name for name, part in parts.items() if part is not None]
    if given:
        yield f"   Policies: {'/'.join(given)}"


def _routes(service: VirtualService, mesh: Mesh, host: str, subsets: dict[str, bool]) -> Iterator[str]:
    yield f"VirtualService: {mesh.shown(service.name, service.namespace)}"
    elsewhere = 0
    for route in service.spec.http:
        reaching = [one for one in route.route if _reaches(one.destination, service.namespace, host, subsets)]
        elsewhere += not reaching
        for target in reaching:
            if said := [*_said(route, target.destination.host, target.destination.subset, target.weight)]:
                yield f"   {', '.join(said)}"
    count = len(service.spec.http)
    if count and elsewhere == count:
        yield f"   WARNING: No destinations match pod subsets (checked {count} HTTP routes)"
    elif elsewhere:
        yield f"   {elsewhere} additional destination(s) that will not reach this pod"


def _reaches(destination: Destination, namespace: str, host: str, subsets: dict[str, bool]) -> bool:
    subset = destination.subset
    return hosts.resolve(destination.host, namespace) == host and (not subset or subsets.get(subset, False))


def _said(route: HTTPRoute, host: str, subset: str, weight: int) -> Iterator[str]:
    if len(route.route) > 1:
        yield f'Route to host "{host}"' + (f' subset "{subset}"' if subset else "") + f" with weight {weight}%"
    if route.fault:
        kinds = [kind for kind in ("delay", "abort") if getattr(route.fault, kind) is not None]
        yield f"Fault injection {' and '.join(kinds)}"
    for match in route.match:
        yield f"Match: {_match(match)}"


def _match(match: HTTPMatchRequest) -> str:
    path = _path(match.uri) if match.uri else "/*"
    headers = "; ".join(f"{name}={_value(value)}" for name, value in sorted(match.headers.items()))
    return f"{path} when headers are {headers}" if headers else path


def _path(uri: StringMatch) -> str:
    if uri.regex is not None:
        return f"regex {uri.regex}"
    return uri.exact if uri.exact is not None else f"{uri.prefix or '/'}*"


def _value(value: StringMatch) -> str:
    if value.regex is not None:
        return f'regex:"{value.regex}"'
    return value.exact or (f"{value.prefix}*" if value.prefix else "")


def _authentication(pod: JSON, mesh: Mesh) -> Iterator[str]:
    mode, applied = effective_mode(pod, mesh.authentications)
    yield "Effective PeerAuthentication:"
    yield f"   Workload mTLS mode: {mode}"
    if ports := port_modes(mode, applied):
        yield "   Port Level mTLS mode:"
        yield from (f"      {port}: {own}" for port, own in ports.items())
    if applied:
        yield "Applied PeerAuthentication:"
        yield f"   {', '.join(f'{one.name}.{one.namespace}' for one in applied)}"


def effective_mode(pod: JSON, policies: list[PeerAuthentication]) -> tuple[str, list[PeerAuthentication]]:
    """The mode of a workload's ports, and the policies that bear on it: the workload's, the namespace's, the mesh's."""
    namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
    layers: list[list[PeerAuthentication]] = [[], [], []]
    for one in sorted(policies, key=lambda one: one.metadata.creation_timestamp):
        wanted = one.spec.selector.match_labels if one.spec.selector else {}
        if wanted and one.namespace == namespace and wanted.items() <= labels.items():
            layers[0].append(one)
        elif not wanted and one.namespace == namespace and namespace != ROOT:
            layers[1].append(one)
        elif not wanted and one.namespace == ROOT:
            layers[2].append(one)
    applied = [found[0] for found in layers if found]
    modes = (one.spec.mtls.mode for one in applied if one.spec.mtls and one.spec.mtls.mode != "UNSET")
    return next(modes, "PERMISSIVE"), applied


def port_modes(mode: str, applied: Iterable[PeerAuthentication]) -> dict[int, str]:
    """The modes of single ports, by number; a port whose own mode is not set has that of the workload."""
    modes = {int(port): own.mode for one in applied for port, own in one.spec.port_level_mtls.items()}
    return {port: mode if own == "UNSET" else own for port, own in sorted(modes.items())}
