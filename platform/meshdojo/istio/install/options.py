"""Options of an installation: IstioOperator files and ``--set``, checked and merged over a profile.

Each option is one of: with an effect (`EFFECTIVE`), harmless without one (`HARMLESS`: accepted with a warning), or
refused, because the mesh would behave differently from what was asked.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from meshdojo.istio.install.paths import BadOption, Step, assign, assignment, leaves, merged
from meshdojo.istio.install.profiles import BASE, profile

JSON = dict[str, Any]
STDIN = "-"
REVISION = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_KINDS = {
    "install.istio.io/v1alpha1": "IstioOperator",
}
_TOP = ("profile", "hub", "tag", "revision", "namespace", "meshConfig", "components", "values", "compatibilityVersion")
_COMPONENTS = ("base", "pilot", "cni", "ztunnel", "istiodRemote", "ingressGateways", "egressGateways")
_COMPONENT_FIELDS = ("enabled", "namespace", "hub", "tag", "k8s", "name", "label")
_VALUES = frozenset(
    {
        *("base", "cni", "compatibilityVersion", "defaultRevision", "experimental", "gatewayClasses", "gateways"),
        *("global", "istio_cni", "istiodRemote", "meshConfig", "ownerName", "pilot", "profile", "resourceQuotas"),
        *("revision", "revisionTags", "sidecarInjectorWebhook", "telemetry", "ztunnel"),
    }
)

EFFECTIVE = (
    "profile",
    "hub",
    "tag",
    "revision",
    "components.base.enabled",
    "components.pilot.enabled",
    "components.pilot.k8s.env*",
    "components.pilot.k8s.replicaCount",
    "components.pilot.k8s.resources*",
    "components.*Gateways.enabled",
    "components.*Gateways.label*",
    "components.*Gateways.name",
    "components.*Gateways.namespace",
    "components.*Gateways.k8s.replicaCount",
    "components.*Gateways.k8s.resources*",
    "components.*Gateways.k8s.service.ports*",
    "components.*Gateways.k8s.service.type",
    "meshConfig.accessLogEncoding",
    "meshConfig.accessLogFile",
    "meshConfig.accessLogFormat",
    "meshConfig.connectTimeout",
    "meshConfig.defaultConfig*",
    "meshConfig.defaultHttpRetryPolicy.attempts",
    "meshConfig.enableAutoMtls",
    "meshConfig.enablePrometheusMerge",
    "meshConfig.extensionProviders*",
    "meshConfig.outboundTrafficPolicy.mode",
    "meshConfig.rootNamespace",
    "meshConfig.trustDomain",
    "values.gateways.istio-*gateway.autoscaleEnabled",
    "values.gateways.istio-*gateway.ports*",
    "values.gateways.istio-*gateway.resources*",
    "values.gateways.istio-*gateway.type",
    "values.global.hub",
    "values.global.imagePullPolicy",
    "values.global.logging.level",
    "values.global.meshID",
    "values.global.multiCluster.clusterName",
    "values.global.proxy.autoInject",
    "values.global.proxy.componentLogLevel",
    "values.global.proxy.excludeI*",
    "values.global.proxy.excludeO*",
    "values.global.proxy.includeI*",
    "values.global.proxy.includeO*",
    "values.global.proxy.holdApplicationUntilProxyStarts",
    "values.global.proxy.image",
    "values.global.proxy.logLevel",
    "values.global.proxy.readiness*",
    "values.global.proxy.resources*",
    "values.global.proxy.statusPort",
    "values.global.tag",
    "values.pilot.autoscaleEnabled",
    "values.pilot.env*",
    "values.pilot.resources*",
    "values.revision",
    "values.sidecarInjectorWebhook.alwaysInjectSelector*",
    "values.sidecarInjectorWebhook.defaultTemplates*",
    "values.sidecarInjectorWebhook.enableNamespacesByDefault",
    "values.sidecarInjectorWebhook.injectedAnnotations*",
    "values.sidecarInjectorWebhook.neverInjectSelector*",
    "values.sidecarInjectorWebhook.rewriteAppHTTPProbe",
)
HARMLESS = (
    "compatibilityVersion",
    "components.*.hub",
    "components.*.tag",
    "components.*.k8s.*",
    "components.base.namespace",
    "components.pilot.namespace",
    "components.cni.*",
    "meshConfig.*",
    "values.base*",
    "values.cni*",
    "values.defaultRevision",
    "values.gateways.*",
    "values.global.defaultPodDisruptionBudget*",
    "values.global.defaultResources*",
    "values.global.imagePullSecrets*",
    "values.global.logAsJson",
    "values.global.network",
    "values.global.priorityClassName",
    "values.global.proxy.lifecycle*",
    "values.global.proxy.privileged",
    "values.global.proxy.startupProbe*",
    "values.global.proxy.tracer",
    "values.global.variant",
    "values.pilot.*",
    "values.telemetry*",
    "values.profile",
)
FIXED = {
    "values.global.istioNamespace": "istio-system",
    "values.global.proxy.clusterDomain": "cluster.local",
    "values.global.pilotCertProvider": "istiod",
    "components.cni.enabled": False,
    "components.ztunnel.enabled": False,
    "components.istiodRemote.enabled": False,
    "namespace": "istio-system",
}
_FLAGS = ("enabled", "autoscaleEnabled", "enableAutoMtls", "enablePrometheusMerge", "enableTracing")
_ENUMS = {
    "meshConfig.outboundTrafficPolicy.mode": (
        "istio.mesh.v1alpha1.MeshConfig.OutboundTrafficPolicy.Mode",
        ("ALLOW_ANY", "REGISTRY_ONLY"),
    ),
    "meshConfig.accessLogEncoding": ("istio.mesh.v1alpha1.MeshConfig.AccessLogEncoding", ("TEXT", "JSON")),
}


@dataclass(frozen=True)
class Options:
    """A complete IstioOperator spec, and warnings about what of it has no effect here."""

    spec: JSON
    warnings: tuple[str, ...] = field(default=())

    @property
    def revision(self) -> str:
        """'' for the installation without a revision."""
        return str(self.spec.get("revision") or "")

    def value(self, path: str, default: Any = None) -> Any:
        """The Helm value at a dotted path."""
        node: Any = self.spec["values"]
        for step in path.split("."):
            node = node.get(step) if isinstance(node, Mapping) else None
        return default if node is None else node

    @property
    def hub(self) -> str:
        """The registry of Istio's images; ``values.global.hub`` comes first."""
        return str(self.value("global.hub") or self.spec["hub"])

    @property
    def tag(self) -> str:
        """Their tag; ``values.global.tag`` comes first."""
        return str(self.value("global.tag") or self.spec["tag"])


def load(settings: Iterable[str] = (), files: Iterable[Path] = (), revision: str = "") -> Options:
    """Options from ``--set`` texts, IstioOperator files (later ones win) and ``--revision``. Raises BadOption.

    A file called ``-`` is standard input, and has to be the last one.
    """
    given: JSON = {}
    listed = list(files)
    for number, path in enumerate(listed, 1):
        if str(path) == STDIN and number < len(listed):
            raise BadOption("merge inputs: stdin is only allowed as the last filename")
        given = merged(given, _file(path))
    if revision:
        given["revision"] = revision
    sets = [assignment(text) for text in settings]
    for steps, value in sets:
        if steps == ["profile"]:
            given["profile"] = value
    base = merged(BASE, profile(str(given.get("profile") or "default")))
    spec = merged(_with_mesh_values(base, given, sets), given)
    touched = copy.deepcopy(given)
    for steps, value in sets:
        assign(spec, steps, value)
        assign(touched, _without_indexes(steps), value)
    warnings = _checked(touched)
    spec["values"].pop("meshConfig", None)
    return Options(_normal(spec), tuple(warnings))


def _with_mesh_values(base: JSON, given: JSON, sets: Iterable[tuple[list[Step], Any]]) -> JSON:
    """The profile, with ``values.meshConfig`` over its mesh config.

    It means the same as ``meshConfig``, which wins where both are given, in whatever order. Source: MergeInputs and
    translateIstioOperatorToHelm in istio/operator/pkg/render/manifest.go, tried with istioctl 1.31.
    """
    values: JSON = {"meshConfig": copy.deepcopy((given.get("values") or {}).get("meshConfig") or {})}
    for steps, value in sets:
        if steps[:2] == ["values", "meshConfig"]:
            assign(values, steps[1:], value)
    return merged(copy.deepcopy(base), values)


def _without_indexes(steps: list[Any]) -> list[Any]:
    return [step for step in steps if isinstance(step, str) and not step.startswith("[")]


def _file(path: Path) -> JSON:
    try:
        text = sys.stdin.read() if str(path) == STDIN else path.read_text()
    except OSError as error:
        raise BadOption(f"merge inputs: open {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadOption(f"merge inputs: unable to parse file: error converting YAML to JSON: {error}") from None
    if not isinstance(document, dict) or _KINDS.get(str(document.get("apiVersion"))) != document.get("kind"):
        found = f"{document.get('apiVersion')} {document.get('kind')}" if isinstance(document, dict) else "no mapping"
        raise BadOption(f"{path}: expected an IstioOperator of install.istio.io/v1alpha1, found {found}")
    return dict(document.get("spec") or {})


def _checked(given: JSON) -> list[str]:
    """Warnings for what has no effect. Raises BadOption for unknown, ill-typed and impossible options."""
    warnings = []
    for path, value in leaves(given) if given else ():
        _known(path)
        if path.startswith("values.meshConfig."):
            path = path.removeprefix("values.")
        _typed(path, value)
        if path in FIXED:
            if value != FIXED[path]:
                raise BadOption(
                    f"{path}={_shown(value)} is not possible in the embedded mesh: only {_shown(FIXED[path])}"
                )
        elif _any_fits(path, EFFECTIVE):
            continue
        elif _any_fits(path, HARMLESS):
            warnings.append(f"{path} has no effect in the embedded mesh")
        else:
            raise BadOption(f"{path} is not supported by the embedded mesh; use a backend with the real Istio for it")
    return warnings


def _any_fits(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _known(path: str) -> None:
    """The names that are looked at as istioctl does: unknown ones are an error of its JSON decoder."""
    first, second, third, *_ = [*path.split("."), "", "", ""]
    if first not in _TOP:
        raise BadOption(f'could not unmarshal: json: unknown field "{first}"')
    if first == "components" and second and second not in _COMPONENTS:
        raise BadOption(f'could not unmarshal: json: unknown field "{second}"')
    if first == "components" and third and third not in _COMPONENT_FIELDS:
        raise BadOption(f'could not unmarshal: json: unknown field "{third}"')
    if first == "values" and second and second not in _VALUES:
        raise BadOption(
            "could not unmarshal: error unmarshaling JSON: while decoding JSON: "
            f'unknown field "{second}" in istio.operator.v1alpha1.Values'
        )


def _typed(path: str, value: Any) -> None:
    name = path.rpartition(".")[2]
    if name in _FLAGS and not isinstance(value, bool):
        raise BadOption(f"could not unmarshal: {path}: cannot unmarshal {_json_type(value)} into a value of type bool")
    if path in _ENUMS and value not in _ENUMS[path][1]:
        kind, allowed = _ENUMS[path]
        raise BadOption(f'unknown value "{value}" for enum {kind}: allowed are {", ".join(allowed)}')
    if path in ("revision", "values.revision") and value and not REVISION.fullmatch(str(value)):
        raise BadOption(f"invalid revision specified: {value}")


def _json_type(value: Any) -> str:
    return {str: "string", int: "number", list: "array", dict: "object"}.get(type(value), "value")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _normal(spec: JSON) -> JSON:
    """The places where one thing can be said twice are made to agree."""
    revision = str(spec.get("revision") or spec["values"].get("revision") or "")
    spec["revision"] = "" if revision == "default" else revision
    spec["values"] = merged(
        spec["values"],
        {
            "revision": spec["revision"],
            "global": {
                "hub": spec["values"]["global"].get("hub") or spec["hub"],
                "tag": spec["values"]["global"].get("tag") or spec["tag"],
            },
        },
    )
    return spec
