"""What each field does in the embedded mesh, which has no real Istio behind it.

Every field of every kind is one of:

* ``implemented``: the mesh behaves as a real one does (also where a real one ignores the field);
* ``harmless``: no effect here, and nothing that a learner would notice: accepted with a warning;
* ``refused``: the mesh would behave differently from what was asked: the webhook says so and refuses.

`EFFECTS` gives each kind a default and the exceptions from it, by manifest path without indexes; a pattern holds for
everything below the field it names. Whoever implements a field in ``translation`` takes it out of here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from meshdojo.istio.crds import manifest_names
from meshdojo.istio.models.base import Kind, Model
from meshdojo.istio.validation.findings import Findings

Effect = Literal["implemented", "harmless", "refused"]


@dataclass(frozen=True)
class KindEffects:
    """The effect of a kind's fields: `default`, but for the patterns in `harmless` and `refused`.

    `values` are patterns for single values of implemented fields that are refused.
    """

    default: Effect = "implemented"
    implemented: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, path: str) -> Effect:
        """The effect of the field at ``spec.…``."""
        exceptions: tuple[tuple[Effect, tuple[str, ...]], ...] = (
            ("implemented", self.implemented),
            ("harmless", self.harmless),
            ("refused", self.refused),
        )
        for effect, patterns in exceptions:
            if any(_fits(path, pattern) for pattern in patterns):
                return effect
        return self.default


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")


_POLICY = "spec.*rafficPolicy"
_SERVER_TLS = ("caCrl", "credentialNames", "caCertCredentialName", "verifyCertificateSpki", "verifyCertificateHash")

EFFECTS: Mapping[str, KindEffects] = {
    "VirtualService": KindEffects(
        harmless=("spec.http.retries.retryRemoteLocalities", "spec.http.match.statPrefix"),
        refused=(
            "spec.http.fault.abort.http2Error",
            "spec.http.fault.delay.exponentialDelay",
            *(
                f"spec.t*.match.{name}"
                for name in ("destinationSubnets", "gateways", "sourceLabels", "sourceNamespace")
            ),
            "spec.tcp.match.sourceSubnet",
        ),
    ),
    "DestinationRule": KindEffects(
        harmless=(
            # Everything runs in one place, where these do nothing on a real cluster either.
            *(f"{_POLICY}*.localityLbSetting.{name}" for name in ("distribute", "enabled", "failover")),
            *(f"{_POLICY}*.zoneAwareLbSetting.{name}" for name in ("enabled", "failover", "minClusterSize")),
            f"{_POLICY}*.http2KeepAlive",
        ),
        refused=(
            f"{_POLICY}*.failoverPriority",
            f"{_POLICY}*.tcp.idleTimeout",
            f"{_POLICY}*.tcp.maxConnectionDuration",
            f"{_POLICY}*.outlierDetectionHttpErrorCodes",
            f"{_POLICY}*.tls.caCrl",
            f"{_POLICY}.tunnel",
            f"{_POLICY}.proxyProtocol",
            f"{_POLICY}.retryBudget.budgetInterval",
        ),
    ),
    "Gateway": KindEffects(
        refused=(
            "spec.servers.bind",
            *(f"spec.servers.tls.{name}" for name in (*_SERVER_TLS, "insecureSkipVerify", "tlsCertificates")),
        ),
        values={"spec.servers.tls.mode": ("AUTO_PASSTHROUGH",)},
    ),
    "ServiceEntry": KindEffects(
        harmless=("spec.endpoints.locality", "spec.endpoints.network", "spec.location"),
        values={"spec.resolution": ("DYNAMIC_DNS",)},
    ),
    "Sidecar": KindEffects(
        refused=(
            "spec.ingress",
            "spec.inboundConnectionPool",
            "spec.egress.bind",
            "spec.egress.captureMode",
            "spec.egress.port",
            "spec.outboundTrafficPolicy.egressProxy",
        ),
    ),
    "PeerAuthentication": KindEffects(),
    "ProxyConfig": KindEffects(harmless=("spec.concurrency", "spec.image")),
    "Telemetry": KindEffects(default="harmless"),
    "AuthorizationPolicy": KindEffects(
        # Waypoints and gateways of the Gateway API, and somebody else who decides.
        refused=("spec.targetRef", "spec.targetRefs", "spec.provider"),
        values={"spec.action": ("CUSTOM",), "spec.rules.when.key": ("experimental.*",)},
    ),
    "EnvoyFilter": KindEffects(default="refused"),
    "RequestAuthentication": KindEffects(default="refused"),
    "TrafficExtension": KindEffects(default="refused"),
    "WasmPlugin": KindEffects(default="refused"),
    "WorkloadEntry": KindEffects(default="refused"),
    "WorkloadGroup": KindEffects(default="refused"),
}
_REMEDY = "leave it out, or use a backend with the real Istio (meshdojo up --backend kind)"


def check(obj: Kind, found: Findings) -> None:
    """Refuse and warn about what an object uses of what this mesh does not have."""
    effects = EFFECTS[obj.TYPE.kind]
    if effects.default == "refused" and not effects.implemented:
        found.refuse(f"{obj.TYPE.kind} is not supported by the embedded mesh: {_REMEDY}")
        return
    said = "-"
    for place, path, value in given(getattr(obj, "spec"), "spec", "spec"):  # noqa: B009  subclasses have it
        effect = effects.of(path)
        if place.startswith((f"{said}.", f"{said}[")):
            continue
        said = place if effect != "implemented" else said
        if value is not None and any(fnmatchcase(value, pattern) for pattern in effects.values.get(path, ())):
            found.refuse(f'{place}: "{value}" is not supported by the embedded mesh: {_REMEDY}')
        elif effect == "refused":
            found.refuse(f"{place} is not supported by the embedded mesh: {_REMEDY}")
        elif effect == "harmless":
            found.warn(f"{place} has no effect in the embedded mesh")


def given(message: Model, place: str, path: str) -> Iterator[tuple[str, str, Any]]:
    """Place (with indexes), path (without) and value of every field that is given and differs from its default.

    A message comes before its own fields.
    """
    for attribute, info in type(message).model_fields.items():
        value = getattr(message, attribute)
        if attribute in message.model_fields_set and value != info.get_default(call_default_factory=True):
            name = manifest_names(attribute, info)[0]
            yield from _values(value, f"{place}.{name}", f"{path}.{name}")


def _values(value: Any, place: str, path: str) -> Iterator[tuple[str, str, Any]]:
    yield place, path, value if isinstance(value, str) else None
    if isinstance(value, Model):
        yield from given(value, place, path)
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            if isinstance(entry, Model):
                yield from given(entry, f"{place}[{index}]", path)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if isinstance(entry, Model):
                yield from given(entry, f"{place}[{key}]", path)
