"""Checks of services, endpoint slices, ingresses and network policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation import names
from meshdojo.kubernetes.schema.validation.basics import (
    PROTOCOLS,
    check_choice,
    check_format,
    check_port,
    check_required,
    check_selector,
    check_unique,
    go_struct,
)
from meshdojo.kubernetes.schema.validation.metadata import check_immutable, check_labels

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("Cluster", "Local")
_HEADLESS = "None"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def check_service(service: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateService, ValidateServiceUpdate."""
    spec = service.get("spec") or {}
    kind = spec.get("type", "")
    yield from _check_service_ports(spec)
    yield from check_labels(spec.get("selector") or {}, "spec.selector")
    yield from check_choice("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    yield from _check_cluster_ips(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        yield from check_format(f"spec.externalIPs[{index}]", address, names.ip_address)
    yield from check_choice("spec.type", kind, _TYPES)
    if kind == "ExternalName":
        yield from _check_external_name(spec.get("externalName", ""))
    yield from _check_port_identities(spec.get("ports") or [])
    yield from _check_policies(spec)
    if old is not None:
        yield from _check_service_update(spec, old.get("spec") or {})


def _is_headless(spec: Object) -> bool:
    return bool(spec.get("clusterIP") == _HEADLESS)


def _cluster_ips(spec: Object) -> list[str]:
    return spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])


def _check_service_ports(spec: Object) -> Iterator[FieldError]:
    ports = spec.get("ports") or []
    if not ports and not _is_headless(spec) and spec.get("type") != "ExternalName":
        yield FieldError.required("spec.ports")
    seen: set[str] = set()
    for index, port in enumerate(ports):
        yield from _check_service_port(f"spec.ports[{index}]", port, spec, seen, several=len(ports) > 1)


def _check_service_port(
    path: str, port: Object, spec: Object, seen: set[str], *, several: bool
) -> Iterator[FieldError]:
    name = port.get("name", "")
    if name:
        yield from check_format(f"{path}.name", name, names.dns_label)
        yield from check_unique(f"{path}.name", name, seen)
    elif several:
        yield FieldError.required(f"{path}.name")
    yield from check_format(f"{path}.port", port.get("port", 0), names.port_number)
    yield from check_choice(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    yield from check_port(f"{path}.targetPort", port.get("targetPort", 0))
    if port.get("appProtocol"):
        yield from check_format(f"{path}.appProtocol", port["appProtocol"], names.qualified_name)
    if port.get("nodePort") and spec.get("type") == "ClusterIP":
        yield FieldError.forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'")


_EMPTY_PORT = {"Name": "", "Protocol": "", "AppProtocol": None, "Port": 0, "TargetPort": 0, "NodePort": 0}


def _check_port_identities(ports: list[Object]) -> Iterator[FieldError]:
    seen: Counter[tuple[str, int]] = Counter()
    for index, port in enumerate(ports):
        identity = (port.get("protocol", ""), port.get("port", 0))
        if seen[identity]:
            shown = go_struct({**_EMPTY_PORT, "Protocol": identity[0], "Port": identity[1]})
            yield FieldError(f"spec.ports[{index}]", "FieldValueDuplicate", f"Duplicate value: {shown}")
        seen[identity] += 1


def _check_cluster_ips(spec: Object) -> Iterator[FieldError]:
    addresses = _cluster_ips(spec)
    if spec.get("type") == "ExternalName":
        if addresses:
            yield FieldError.forbidden("spec.clusterIPs[0]", "may not be set when `type` is 'ExternalName'")
        return
    for index, address in enumerate(addresses):
        path = f"spec.clusterIPs[{index}]"
        if address == _HEADLESS:
            if spec.get("type") in ("NodePort", "LoadBalancer"):
                words = f"may not be set to 'None' for {spec['type']} services"
                yield FieldError.invalid(path, address, words)
        else:
            yield from check_format(path, address, names.ip_address)


def _check_external_name(name: str) -> Iterator[FieldError]:
    if name:
        yield from check_format("spec.externalName", name.removesuffix("."), names.dns_subdomain)
    else:
        yield FieldError.required("spec.externalName")


def _check_policies(spec: Object) -> Iterator[FieldError]:
    for index, network in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from check_format(f"spec.LoadBalancerSourceRanges[{index}]", network, _network)
    external = spec.get("externalTrafficPolicy")
    if external:
        if spec.get("type") not in ("NodePort", "LoadBalancer") and not spec.get("externalIPs"):
            words = "may only be set for externally-accessible services"
            yield FieldError.invalid("spec.externalTrafficPolicy", external, words)
        else:
            yield from check_choice("spec.externalTrafficPolicy", external, _POLICIES)
    if spec.get("internalTrafficPolicy"):
        yield from check_choice("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], _POLICIES)


def _network(text: str) -> list[str]:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return []


def _check_service_update(spec: Object, old: Object) -> Iterator[FieldError]:
    if "ExternalName" in (spec.get("type"), old.get("type")):
        return
    new, was = _cluster_ips(spec), _cluster_ips(old)
    if new and was and (new[0] != was[0] or spec.get("clusterIP", was[0]) != was[0]):
        shown = [spec.get("clusterIP", new[0])] if new[0] == was[0] else new
        yield FieldError.invalid("spec.clusterIPs[0]", shown, "may not change once set")


def check_endpoint_slice(endpoint_slice: Object, old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateEndpointSlice."""
    kind = endpoint_slice.get("addressType", "")
    if kind:
        yield from check_choice("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    else:
        yield FieldError.required("addressType")
    for index, port in enumerate(endpoint_slice.get("ports") or ()):
        yield from check_choice(f"ports[{index}].protocol", port.get("protocol"), PROTOCOLS)
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        yield from _check_addresses(f"endpoints[{index}].addresses", endpoint.get("addresses") or [], kind)
    if old is not None:
        yield from check_immutable("addressType", kind, old.get("addressType"))


def _check_addresses(path: str, addresses: list[str], kind: str) -> Iterator[FieldError]:
    if not addresses:
        yield FieldError.required(path, "must contain at least 1 address")
    for index, address in enumerate(addresses):
        check = names.dns_subdomain if kind == "FQDN" else names.ip_address
        if kind in ("FQDN", "IPv4", "IPv6"):
            yield from check_format(f"{path}[{index}]", address, check)


def check_ingress(ingress: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateIngress."""
    spec = ingress.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        words = "either `defaultBackend` or `rules` must be specified"
        yield FieldError.invalid("spec", spec or None, words)
    for index, rule in enumerate(spec.get("rules") or ()):
        yield from _check_ingress_rule(f"spec.rules[{index}]", rule)


def _check_ingress_rule(path: str, rule: Object) -> Iterator[FieldError]:
    host = rule.get("host", "")
    if host:
        yield from check_format(f"{path}.host", host, lambda text: names.dns_subdomain(text.removeprefix("*.")))
    for index, entry in enumerate((rule.get("http") or {}).get("paths") or ()):
        below = f"{path}.http.paths[{index}]"
        kind = entry.get("pathType")
        if kind is None:
            yield FieldError.required(f"{below}.pathType", "pathType must be specified")
        else:
            yield from check_choice(f"{below}.pathType", kind, _PATH_TYPES)
            if kind in ("Exact", "Prefix") and not str(entry.get("path", "")).startswith("/"):
                yield FieldError.invalid(f"{below}.path", entry.get("path", ""), "must be an absolute path")


def check_network_policy(policy: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateNetworkPolicy."""
    spec = policy.get("spec") or {}
    yield from check_selector("spec.podSelector", spec.get("podSelector") or {})
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        yield from check_choice(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def check_ingress_class(ingress_class: Object, _old: Object | None) -> Iterator[FieldError]:
    """Source: ValidateIngressClass."""
    yield from check_required("spec.controller", (ingress_class.get("spec") or {}).get("controller"))
