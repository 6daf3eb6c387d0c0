"""The built-in profiles: what ``--set profile=NAME`` starts from.

The facts (which components, sizes, mesh config) are those of the real profiles, as ``istioctl manifest generate`` of
1.31 shows them. Profiles for platforms that the embedded mesh is not (ambient, openshift, …) are not offered.
"""

from __future__ import annotations

import copy
from typing import Any

from meshdojo.istio.install.paths import BadOption
from meshdojo.istio.version import HUB, VERSION

JSON = dict[str, Any]

_GATEWAY_PORTS = [
    {"name": "status-port", "port": 15021, "targetPort": 15021},
    {"name": "http2", "port": 80, "targetPort": 8080},
    {"name": "https", "port": 443, "targetPort": 8443},
]
_DEMO_PORTS = [
    *_GATEWAY_PORTS,
    {"name": "tcp", "port": 31400, "targetPort": 31400},
    {"name": "tls", "port": 15443, "targetPort": 15443},
]
_LIMITS = {"cpu": "2000m", "memory": "1024Mi"}
_SMALL = {"cpu": "10m", "memory": "40Mi"}

BASE: JSON = {
    "hub": HUB,
    "tag": VERSION,
    "revision": "",
    "meshConfig": {"enablePrometheusMerge": True},
    "components": {
        "base": {"enabled": False},
        "pilot": {"enabled": False},
        "cni": {"enabled": False},
        "ztunnel": {"enabled": False},
        "ingressGateways": [{"name": "istio-ingressgateway", "enabled": False}],
        "egressGateways": [{"name": "istio-egressgateway", "enabled": False}],
    },
    "values": {
        "global": {
            "istioNamespace": "istio-system",
            "logging": {"level": "default:info"},
            "imagePullPolicy": "",
            "meshID": "",
            "network": "",
            "multiCluster": {"clusterName": ""},
            "pilotCertProvider": "istiod",
            "proxy": {
                "autoInject": "enabled",
                "clusterDomain": "cluster.local",
                "componentLogLevel": "misc:error",
                "image": "proxyv2",
                "includeIPRanges": "*",
                "excludeIPRanges": "",
                "includeInboundPorts": "*",
                "excludeInboundPorts": "",
                "includeOutboundPorts": "",
                "excludeOutboundPorts": "",
                "logLevel": "warning",
                "readinessFailureThreshold": 4,
                "readinessInitialDelaySeconds": 0,
                "readinessPeriodSeconds": 15,
                "resources": {"limits": _LIMITS, "requests": {"cpu": "100m", "memory": "128Mi"}},
                "statusPort": 15020,
            },
            "proxy_init": {"image": "proxyv2"},
        },
        "pilot": {
            "autoscaleEnabled": True,
            "env": {},
            "resources": {"requests": {"cpu": "500m", "memory": "2048Mi"}},
            "traceSampling": 1,
        },
        "gateways": {
            "istio-ingressgateway": {"autoscaleEnabled": True, "ports": _GATEWAY_PORTS, "type": "LoadBalancer"},
            "istio-egressgateway": {"autoscaleEnabled": True, "ports": _GATEWAY_PORTS[1:], "type": "ClusterIP"},
        },
        "sidecarInjectorWebhook": {
            "alwaysInjectSelector": [],
            "neverInjectSelector": [],
            "defaultTemplates": [],
            "enableNamespacesByDefault": False,
            "injectedAnnotations": {},
            "rewriteAppHTTPProbe": True,
        },
    },
}


def _components(*, pilot: bool = True, ingress: bool = False, egress: bool = False) -> JSON:
    return {
        "base": {"enabled": pilot},
        "pilot": {"enabled": pilot},
        "ingressGateways": [{"name": "istio-ingressgateway", "enabled": ingress}],
        "egressGateways": [{"name": "istio-egressgateway", "enabled": egress}],
    }


def _extension(name: str, kind: str, service: str, port: int) -> JSON:
    return {"name": name, kind: {"service": service, "port": port}}


_COLLECTOR = "opentelemetry-collector.observability.svc.cluster.local"
_DEMO: JSON = {
    "components": _components(ingress=True, egress=True),
    "meshConfig": {
        "accessLogFile": "/dev/stdout",
        "extensionProviders": [
            _extension("otel", "envoyOtelAls", _COLLECTOR, 4317),
            _extension("skywalking", "skywalking", "tracing.istio-system.svc.cluster.local", 11800),
            _extension("otel-tracing", "opentelemetry", _COLLECTOR, 4317),
            _extension("jaeger", "opentelemetry", "jaeger-collector.istio-system.svc.cluster.local", 4317),
        ],
    },
    "values": {
        "global": {"proxy": {"resources": {"requests": _SMALL}}},
        "pilot": {
            "autoscaleEnabled": False,
            "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}},
            "traceSampling": 100,
        },
        "gateways": {
            "istio-ingressgateway": {
                "autoscaleEnabled": False,
                "ports": _DEMO_PORTS,
                "resources": {"limits": _LIMITS, "requests": _SMALL},
            },
            "istio-egressgateway": {
                "autoscaleEnabled": False,
                "resources": {"limits": _LIMITS, "requests": _SMALL},
            },
        },
    },
}

PROFILES: dict[str, JSON] = {
    "default": {"components": _components(ingress=True)},
    "demo": _DEMO,
    "empty": {"components": _components(pilot=False)},
    "minimal": {"components": _components()},
}
_ELSEWHERE = ("ambient", "openshift", "openshift-ambient", "preview", "remote", "stable")


def profile(name: str) -> JSON:
    """The overlay of a profile, over `BASE`. Raises BadOption for an unknown one, with istioctl's words."""
    if name in PROFILES:
        return copy.deepcopy(PROFILES[name])
    if name in _ELSEWHERE:
        raise BadOption(
            f'profile "{name}" is not offered by the embedded mesh; it has {", ".join(sorted(PROFILES))}. '
            "Use a backend with the real Istio for it."
        )
    raise BadOption(f'merge inputs: profile "{name}" not found: open profiles/{name}.yaml: file does not exist')
