"""Checks an object of any of Istio's kinds: the rules of its kind, then what this mesh cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.kinds import parse
from meshdojo.istio.validation import (
    authorization_policy,
    destination_rule,
    effects,
    gateway,
    policies,
    services,
    virtual_service,
)
from meshdojo.istio.validation.findings import Findings

CHECKS: Mapping[str, Callable[[Any, Findings], None]] = {
    "AuthorizationPolicy": authorization_policy.check,
    "DestinationRule": destination_rule.check,
    "EnvoyFilter": services.envoy_filter,
    "Gateway": gateway.check,
    "PeerAuthentication": policies.peer_authentication,
    "RequestAuthentication": policies.request_authentication,
    "ServiceEntry": services.service_entry,
    "Sidecar": services.sidecar,
    "Telemetry": policies.telemetry,
    "VirtualService": virtual_service.check,
    "WorkloadEntry": services.workload_entry,
    "WorkloadGroup": services.workload_group,
}
"""Kinds that have rules of their own; the others (ProxyConfig, WasmPlugin, TrafficExtension) have only a schema."""


def check(obj: Mapping[str, Any]) -> Findings:
    """What is wrong with a manifest of one of Istio's kinds."""
    try:
        kind = parse(obj)
    except NotParsed as error:
        found = Findings()
        found.refuse(str(error))
        return found
    found = rules(kind)
    if not found.errors:
        effects.check(kind, found)
    return found


def rules(kind: Kind) -> Findings:
    """What a real cluster's webhook says of an object."""
    found = Findings()
    if own := CHECKS.get(kind.TYPE.kind):
        own(kind, found)
    return found
