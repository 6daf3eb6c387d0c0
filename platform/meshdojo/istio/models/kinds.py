"""All kinds, in the order of their CRDs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshdojo.istio.models.authorization_policy import AuthorizationPolicy
from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.envoy_filter import EnvoyFilter
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.proxy_config import ProxyConfig
from meshdojo.istio.models.request_authentication import RequestAuthentication
from meshdojo.istio.models.service_entry import ServiceEntry
from meshdojo.istio.models.sidecar import Sidecar
from meshdojo.istio.models.telemetry import Telemetry
from meshdojo.istio.models.traffic_extension import TrafficExtension
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.models.wasm_plugin import WasmPlugin
from meshdojo.istio.models.workload_entry import WorkloadEntry
from meshdojo.istio.models.workload_group import WorkloadGroup

KINDS: tuple[type[Kind], ...] = (
    TrafficExtension,
    WasmPlugin,
    DestinationRule,
    EnvoyFilter,
    Gateway,
    ProxyConfig,
    ServiceEntry,
    Sidecar,
    VirtualService,
    WorkloadEntry,
    WorkloadGroup,
    AuthorizationPolicy,
    PeerAuthentication,
    RequestAuthentication,
    Telemetry,
)

BY_GROUP_KIND: Mapping[tuple[str, str], type[Kind]] = {(kind.TYPE.group, kind.TYPE.kind): kind for kind in KINDS}


def kind_of(obj: Mapping[str, Any]) -> type[Kind] | None:
    """The model for a manifest's apiVersion and kind, whatever the version; None if it is none of Istio's."""
    group, _, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return BY_GROUP_KIND.get((group, str(obj.get("kind", ""))))


def parse(obj: Mapping[str, Any]) -> Kind:
    """The object of a manifest of any of Istio's kinds. Raises NotParsed, also for other kinds."""
    kind = kind_of(obj)
    if kind is None:
        raise NotParsed(f"{obj.get('apiVersion')} {obj.get('kind')} is none of Istio's kinds")
    return kind.parse(obj)
