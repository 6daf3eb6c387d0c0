"""PeerAuthentication, RequestAuthentication and Telemetry: what the webhook says."""

from __future__ import annotations

import json

from meshdojo.istio.models.common import WorkloadSelector
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.request_authentication import RequestAuthentication
from meshdojo.istio.models.telemetry import Telemetry
from meshdojo.istio.validation.findings import Findings


def selector(given: WorkloadSelector | None, found: Findings) -> None:
    """A selector without labels selects all: a Warning."""
    if given is not None and not given.match_labels:
        found.warn("workload selector specified without labels")


def peer_authentication(obj: PeerAuthentication, found: Findings) -> None:
    """Source: ValidatePeerAuthentication in istio.io/istio/pkg/config/validation."""
    selector(obj.spec.selector, found)


def request_authentication(obj: RequestAuthentication, found: Findings) -> None:
    """Source: ValidateRequestAuthentication in istio.io/istio/pkg/config/validation."""
    selector(obj.spec.selector, found)
    for rule in obj.spec.jwt_rules:
        if rule.jwks and (problem := _keys_problem(rule.jwks)):
            found.refuse(f"jwks parse error: failed to unmarshal JWK set: {problem}", listed=True)


def _keys_problem(text: str) -> str:
    try:
        keys = json.loads(text)
    except ValueError as error:
        return str(error)
    if not isinstance(keys, dict) or not isinstance(keys.get("keys", []), list):
        return 'expected a JSON object with a list "keys"'
    return ""


def telemetry(obj: Telemetry, found: Findings) -> None:
    """Source: ValidateTelemetry in istio.io/istio/pkg/config/validation."""
    selector(obj.spec.selector, found)
    traced = [entry.providers for entry in obj.spec.tracing]
    logged = [entry.providers for entry in obj.spec.access_logging]
    for providers in (*traced, *logged, *(entry.providers for entry in obj.spec.metrics)):
        if len(providers) > 1:
            found.warn("multiple providers is not currently supported")
    for tracing in obj.spec.tracing:
        found.refuse_if("" in tracing.custom_tags, "tag name may not be empty")
