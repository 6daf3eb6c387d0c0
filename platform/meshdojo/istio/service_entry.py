"""ServiceEntry -> `Service` and `Endpoint`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshdojo.istio.models.service_entry import ServiceEntry, ServiceEntrySpec, ServicePort
from meshdojo.istio.service import EVERYONE, Endpoint, Port, Protocol, Resolution, Service, select_protocol
from meshdojo.istio.workload import Workload

_RESOLUTIONS: dict[str, Resolution] = {
    "NONE": "passthrough",
    "STATIC": "endpoints",
    "DNS": "dns",
    "DNS_ROUND_ROBIN": "dns_round_robin",
    "DYNAMIC_DNS": "passthrough",
}


def services(entry: ServiceEntry) -> Iterator[Service]:
    """One service per host."""
    spec = entry.spec
    for host in spec.hosts:
        yield Service(
            host=host,
            name=entry.name,
            namespace=entry.namespace,
            ports=tuple(_port(port) for port in spec.ports),
            addresses=spec.addresses,
            resolution=_RESOLUTIONS[spec.resolution],
            selector=spec.workload_selector.labels if spec.workload_selector else {},
            external=True,
            export_to=spec.export_to or EVERYONE,
            created=entry.metadata.creation_timestamp,
            subject_alt_names=spec.subject_alt_names,
        )


def _port(port: ServicePort) -> Port:
    # The protocol is spelled out here (HTTPS, GRPC, ...), where a Service has it in the port's name.
    protocol = select_protocol(port.number, port.protocol.lower(), None) if port.protocol else Protocol.AUTO
    return Port(port.number, port.name, protocol, port.target_port or port.number)


def endpoints(entry: ServiceEntry, service: Service, pods: Iterable[Workload]) -> Iterator[Endpoint]:
    """The addresses of a service: those listed, the pods that the selector finds, or for DNS the host itself."""
    spec = entry.spec
    for one in spec.endpoints:
        ports = {port.name: one.ports.get(port.name) or port.target_port or port.number for port in spec.ports}
        yield Endpoint(
            one.address,
            ports,
            labels=one.labels,
            namespace=entry.namespace,
            service_account=one.service_account or "default",
            workload=f"{entry.name};{entry.namespace};{entry.name};;Kubernetes",
            weight=one.weight or 1,
        )
    if spec.workload_selector is not None:
        yield from _selected(spec, entry.namespace, pods)
    elif not spec.endpoints and service.resolution in ("dns", "dns_round_robin"):
        yield Endpoint(service.host, _ports(spec), namespace=entry.namespace, workload=_description(entry))


def _selected(spec: ServiceEntrySpec, namespace: str, pods: Iterable[Workload]) -> Iterator[Endpoint]:
    labels = spec.workload_selector.labels if spec.workload_selector else {}
    for pod in pods:
        if pod.namespace == namespace and all(pod.labels.get(name) == value for name, value in labels.items()):
            yield Endpoint.of_pod(pod.ip, _ports(spec), pod)


def _ports(spec: ServiceEntrySpec) -> dict[str, int]:
    return {port.name: port.target_port or port.number for port in spec.ports}


def _description(entry: ServiceEntry) -> str:
    return f"{entry.name};{entry.namespace};{entry.name};;Kubernetes"
