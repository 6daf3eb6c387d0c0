"""The tables of services, endpoints, endpoint slices, ingresses and network policies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.tables.ages import age
from meshdojo.kubernetes.tables.columns import (
    NONE,
    UNSET,
    Printer,
    columns,
    created,
    joined,
    labels_text,
    name_of,
    selector_text,
)

_SHOWN = 3


def _service(service: Object, now: datetime) -> list[Any]:
    spec = service.get("spec") or {}
    return [
        name_of(service),
        spec.get("type", ""),
        (spec.get("clusterIPs") or [spec.get("clusterIP")])[0] or NONE,
        _external_address(service),
        joined([_service_port(port) for port in spec.get("ports") or ()]),
        age(created(service), now),
        labels_text(spec.get("selector")),
    ]


def _external_address(service: Object) -> str:
    spec = service.get("spec") or {}
    external = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    if spec.get("type") == "LoadBalancer":
        return joined([*_load_balancer(service), *external], "<pending>")
    return joined(external)


def _load_balancer(obj: Object) -> list[str]:
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return sorted({entry.get("ip") or entry.get("hostname") or "" for entry in ingress} - {""})


def _service_port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _shortened(values: Sequence[str], empty: str) -> str:
    """Three values and how many more there are."""
    more = f" + {len(values) - _SHOWN} more..." if len(values) > _SHOWN else ""
    return joined(values[:_SHOWN], empty) + more


def _endpoints(endpoints: Object, now: datetime) -> list[Any]:
    return [name_of(endpoints), _shortened(_addresses(endpoints), NONE), age(created(endpoints), now)]


def _addresses(endpoints: Object) -> list[str]:
    found: list[str] = []
    for subset in endpoints.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = [port["port"] for port in subset.get("ports") or ()]
        found += [f"{ip}:{port}" for port in ports for ip in addresses] if ports else addresses
    return found


def _endpoint_slice(endpoint_slice: Object, now: datetime) -> list[Any]:
    ports = [_slice_port(port) for port in endpoint_slice.get("ports") or ()]
    addresses = [a for endpoint in endpoint_slice.get("endpoints") or () for a in endpoint.get("addresses") or ()]
    return [
        name_of(endpoint_slice),
        endpoint_slice.get("addressType", ""),
        _shortened(ports, UNSET),
        _shortened(addresses, UNSET),
        age(created(endpoint_slice), now),
    ]


def _slice_port(port: Object) -> str:
    number = port.get("port")
    return str(number) if number is not None else "*"


def _ingress(ingress: Object, now: datetime) -> list[Any]:
    spec = ingress.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    return [
        name_of(ingress),
        spec.get("ingressClassName") or NONE,
        _shortened(hosts, "*"),
        joined(_load_balancer(ingress), ""),
        "80, 443" if spec.get("tls") else "80",
        age(created(ingress), now),
    ]


def _ingress_class(ingress_class: Object, now: datetime) -> list[Any]:
    spec = ingress_class.get("spec") or {}
    parameters = spec.get("parameters")
    reference = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        reference = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [name_of(ingress_class), spec.get("controller", ""), reference, age(created(ingress_class), now)]


def _network_policy(policy: Object, now: datetime) -> list[Any]:
    return [name_of(policy), selector_text((policy.get("spec") or {}).get("podSelector")), age(created(policy), now)]


SERVICES = Printer(columns("Name, Type, Cluster-IP, External-IP, Port(s), Age", "Selector"), _service)
ENDPOINTS = Printer(columns("Name, Endpoints, Age"), _endpoints)
ENDPOINT_SLICES = Printer(columns("Name, AddressType, Ports, Endpoints, Age"), _endpoint_slice)
INGRESSES = Printer(columns("Name, Class, Hosts, Address, Ports, Age"), _ingress)
INGRESS_CLASSES = Printer(columns("Name, Controller, Parameters, Age"), _ingress_class)
NETWORK_POLICIES = Printer(columns("Name, Pod-Selector, Age"), _network_policy)
