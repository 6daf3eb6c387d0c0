"""`MeshConfig`: the settings of the whole mesh, from key ``mesh`` of the config map ``istio``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from meshdojo.istio.models.base import parse_duration

log = logging.getLogger("mesh")
OutboundMode = Literal["ALLOW_ANY", "REGISTRY_ONLY"]


@dataclass(frozen=True)
class MeshConfig:
    """The fields of istio.mesh.v1alpha1.MeshConfig that have an effect on proxies; defaults as there."""

    access_log_file: str = ""
    access_log_format: str = ""
    access_log_json: bool = False
    outbound_mode: OutboundMode = "ALLOW_ANY"
    trust_domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    auto_mtls: bool = True
    connect_timeout: timedelta = timedelta(seconds=10)
    retry_attempts: int = 2
    proxy_config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    serial: int = field(default=0, compare=False)

    @classmethod
    def parse(cls, text: str, serial: int = 0) -> MeshConfig:
        """From YAML. What cannot be understood is logged and keeps its default, as istiod does."""
        given = _mapping(text)
        return cls(
            access_log_file=str(given.get("accessLogFile") or ""),
            access_log_format=str(given.get("accessLogFormat") or ""),
            access_log_json=given.get("accessLogEncoding") == "JSON",
            outbound_mode=_outbound(given),
            trust_domain=str(given.get("trustDomain") or "cluster.local"),
            root_namespace=str(given.get("rootNamespace") or "istio-system"),
            auto_mtls=given.get("enableAutoMtls") is not False,
            connect_timeout=_duration(given.get("connectTimeout"), timedelta(seconds=10)),
            retry_attempts=int((given.get("defaultHttpRetryPolicy") or {}).get("attempts", 2)),
            proxy_config=given.get("defaultConfig") or {},
            serial=serial,
        )


def _mapping(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        given = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe
    except yaml.YAMLError as error:
        log.error("mesh config: not YAML, the defaults are used: %s", error)
        return {}
    if given is not None and not isinstance(given, dict):
        log.error("mesh config: expected a mapping, found %s; the defaults are used", type(given).__name__)
        return {}
    return given or {}


def _outbound(given: Mapping[str, Any]) -> OutboundMode:
    mode = (given.get("outboundTrafficPolicy") or {}).get("mode", "ALLOW_ANY")
    return "REGISTRY_ONLY" if mode == "REGISTRY_ONLY" else "ALLOW_ANY"


def _duration(text: Any, default: timedelta) -> timedelta:
    try:
        return default if text is None else parse_duration(text)
    except ValueError as error:
        log.error("mesh config: %s", error)
        return default
