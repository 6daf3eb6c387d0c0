"""ServiceEntry, Sidecar, WorkloadEntry, WorkloadGroup and EnvoyFilter: what the webhook says."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.istio.models.envoy_filter import EnvoyFilter
from meshdojo.istio.models.service_entry import ServiceEntry, ServiceEntrySpec
from meshdojo.istio.models.sidecar import IstioEgressListener, IstioIngressListener, Sidecar
from meshdojo.istio.models.workload_entry import WorkloadEntry, WorkloadEntrySpec
from meshdojo.istio.models.workload_group import WorkloadGroup
from meshdojo.istio.validation import names
from meshdojo.istio.validation.findings import Findings
from meshdojo.istio.validation.gateway import certificates

PROTOCOLS = frozenset(
    {
        *("HTTP", "HTTPS", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS", "UDP"),
        *("HBONE", "DOUBLE-HBONE"),
    }
)
_LOCAL = ("127.0.0.1", "0.0.0.0", "[::1]", "[::]")
ENVOY_FILTER = (
    "EnvoyFilter exposes internal implementation details that may change at any time. Prefer other APIs if possible, "
    "and exercise extreme caution, especially around upgrades."
)


def service_entry(obj: ServiceEntry, found: Findings) -> None:
    """Source: ValidateServiceEntry in istio.io/istio/pkg/config/validation."""
    spec = obj.spec
    for host in spec.hosts:
        found.refuse_all(names.wildcard_domain(host))
    for address in spec.addresses:
        found.refuse_all(names.subnet(address))
    ports = {port.name for port in spec.ports}
    for port in spec.ports:
        _protocol(port.protocol, found)
        found.refuse_if(not names.is_label(port.name), f"invalid port name: {port.name}")
        found.refuse_all(names.port(port.number))
    for endpoint in spec.endpoints:
        for name, number in endpoint.ports.items():
            found.refuse_if(name not in ports, f"endpoint port {number} is not defined by the service entry")
        _endpoint(endpoint, spec.resolution, found)
        found.refuse_all(names.tags(endpoint.labels), listed=True)
    if spec.resolution in ("DNS", "DNS_ROUND_ROBIN") and not spec.endpoints:
        found.refuse_all(_resolvable(spec))
    _addressless(spec, found)
    found.refuse_all(names.export_to(spec.export_to))


def _protocol(protocol: str, found: Findings) -> None:
    found.refuse_if(bool(protocol) and protocol.upper() not in PROTOCOLS, f"unsupported protocol: {protocol}")


def _resolvable(spec: ServiceEntrySpec) -> Iterator[str]:
    for host in spec.hosts:
        for problem in names.fqdn(host):
            yield (
                "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode "
                f"{spec.resolution}, {problem}"
            )


def _endpoint(endpoint: WorkloadEntrySpec, resolution: str, found: Findings) -> None:
    address = endpoint.address
    if not address or address.startswith("unix://"):
        return
    if resolution == "STATIC":
        found.refuse_if(not names.is_address(address), f'endpoint address "{address}" is not a valid IP address')
    elif not names.is_address(address) and names.fqdn(address):
        found.refuse(f'endpoint address "{address}" is not a valid FQDN or an IP address')


def _addressless(spec: ServiceEntrySpec, found: Findings) -> None:
    """TCP is told apart by address only."""
    tcp = any(port.protocol.upper() in ("", "TCP") for port in spec.ports)
    if tcp and not spec.addresses and spec.resolution == "NONE":
        found.warn(
            "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled"
        )


def sidecar(obj: Sidecar, found: Findings) -> None:
    """Source: ValidateSidecar in istio.io/istio/pkg/config/validation."""
    spec = obj.spec
    if spec.workload_selector is not None and not spec.workload_selector.labels:
        found.warn("sidecar: workload selector specified without labels, will be applied to all services in namespace")
    settings = (spec.ingress, spec.egress, spec.outbound_traffic_policy, spec.inbound_connection_pool)
    found.refuse_if(not any(settings), "sidecar: empty configuration provided")
    for ingress in spec.ingress:
        _ingress(ingress, found)
    for index, egress in enumerate(spec.egress):
        if egress.port is None and index < len(spec.egress) - 1:
            found.refuse("sidecar: the egress listener with empty port should be the last listener in the list")
        _egress(egress, found)


def _ingress(listener: IstioIngressListener, found: Findings) -> None:
    found.refuse_all(names.port(listener.port.number))
    _protocol(listener.port.protocol, found)
    if listener.bind:
        found.refuse_if(not names.is_address(listener.bind), f"{listener.bind} is not a valid IP")
    if listener.default_endpoint:
        _default_endpoint(listener.default_endpoint, found)
    if listener.tls:
        found.refuse_all(certificates(listener.tls))


def _default_endpoint(endpoint: str, found: Findings) -> None:
    if endpoint.startswith("unix://"):
        return
    host, colon, port = endpoint.rpartition(":")
    if not colon:
        found.refuse(f"address {endpoint}: missing port in address")
        port = ""
    elif host not in _LOCAL:
        found.refuse(
            "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,"
            "unix://filepath or unset"
        )
    if not port.isdigit():
        found.refuse(
            f'sidecar: defaultEndpoint port ({port}) is not a number: strconv.Atoi: parsing "{port}": invalid syntax'
        )


def _egress(listener: IstioEgressListener, found: Findings) -> None:
    found.refuse_if(not listener.hosts, "sidecar: egress listener must contain at least one host")
    if listener.port:
        found.refuse_all(names.port(listener.port.number))
    seen: set[str] = set()
    for host in listener.hosts:
        found.refuse_if(host in seen, f"duplicate egress host: {host}")
        seen.add(host)
        namespace, slash, name = host.partition("/")
        if not slash or not namespace or not name:
            found.refuse("host must be of form namespace/dnsName")
            continue
        if namespace not in ("*", ".", "~") and not names.is_label(namespace):
            found.refuse(f'invalid namespace value "{namespace}" in host')
        found.refuse_all(names.wildcard_domain(name))


def workload_entry(obj: WorkloadEntry, found: Findings) -> None:
    """Source: ValidateWorkloadEntry in istio.io/istio/pkg/config/validation."""
    spec = obj.spec
    found.refuse_if(not spec.address and not spec.network, "address is required")
    _endpoint(spec, "", found)
    found.refuse_all(names.tags(spec.labels), listed=True)


def workload_group(obj: WorkloadGroup, found: Findings) -> None:
    """Source: ValidateWorkloadGroup in istio.io/istio/pkg/config/validation."""
    if obj.spec.metadata:
        found.refuse_all(names.tags(obj.spec.metadata.labels), listed=True)


def envoy_filter(obj: EnvoyFilter, found: Findings) -> None:
    """Source: ValidateEnvoyFilter in istio.io/istio/pkg/config/validation. Here it has no effect: a Warning says so."""
    found.warn(ENVOY_FILTER)
    for entry in obj.spec.config_patches:
        if entry.apply_to == "INVALID":
            found.refuse("Envoy filter: missing applyTo")
        elif entry.patch is None:
            found.refuse("Envoy filter: missing patch")
        elif entry.patch.operation == "INVALID":
            found.refuse("Envoy filter: missing patch operation")
        elif entry.patch.operation != "REMOVE" and entry.patch.value is None:
            found.refuse("Envoy filter: missing patch value for non-remove operation")
