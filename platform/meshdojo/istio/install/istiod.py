"""istiod: its ConfigMaps, Deployment and Services."""

from __future__ import annotations

import json
from typing import Any

import yaml

from meshdojo.istio.install import naming
from meshdojo.istio.install.naming import NAMESPACE, manifest, pilot_labels, suffixed
from meshdojo.istio.install.options import Options
from meshdojo.istio.version import image

JSON = dict[str, Any]
_PORTS = (
    ("http-debug", 8080),
    ("grpc-xds", 15010),
    ("tls-xds", 15012),
    ("https-webhooks", 15017),
    ("http-monitoring", 15014),
)


def config_maps(options: Options) -> list[JSON]:
    """Mesh config, what the injector needs, and all values."""
    labels = pilot_labels(options)
    webhook = options.value("sidecarInjectorWebhook")
    policy = {
        "policy": options.value("global.proxy.autoInject", "enabled"),
        "defaultTemplates": webhook["defaultTemplates"] or ["sidecar"],
        "alwaysInjectSelector": webhook["alwaysInjectSelector"],
        "neverInjectSelector": webhook["neverInjectSelector"],
        "injectedAnnotations": webhook["injectedAnnotations"],
    }
    values = json.dumps(options.spec["values"], indent=2, sort_keys=True)
    injector = {"config": yaml.safe_dump(policy), "values": values}
    mesh = {"mesh": yaml.safe_dump(mesh_config(options)).rstrip("\n"), "meshNetworks": "networks: {}"}
    return [
        manifest("v1", "ConfigMap", suffixed("istio", options), labels, data=mesh),
        manifest("v1", "ConfigMap", suffixed("istio-sidecar-injector", options), labels, data=injector),
        manifest("v1", "ConfigMap", suffixed("values", options), labels, data={"merged-values": values}),
    ]


def mesh_config(options: Options) -> JSON:
    """MeshConfig (istio.mesh.v1alpha1), complete with what the installation itself decides."""
    given: JSON = options.spec["meshConfig"]
    address = f"{suffixed('istiod', options)}.{NAMESPACE}.svc:15012"
    return {
        "rootNamespace": NAMESPACE,
        "trustDomain": "cluster.local",
        **given,
        "defaultConfig": {"discoveryAddress": address, **(given.get("defaultConfig") or {})},
    }


def service(options: Options) -> JSON:
    """istiod's Service: ADS, CA, webhooks and monitoring."""
    labels = pilot_labels(options, app="istiod", istio="pilot")
    return _service(suffixed("istiod", options), labels, selector(options))


def tag_service(options: Options) -> JSON:
    """The alias of istiod's service that istioctl makes with the default tag."""
    labels = pilot_labels(options, app="istiod", istio="pilot") | {"istio.io/tag": "default"}
    alias = {"app": "istiod", "istio.io/rev": naming.revision(options)}
    return _service("istiod-revision-tag-default", labels, alias)


def selector(options: Options) -> JSON:
    """The labels by which the Service and the webhooks find this revision's pods."""
    return {"app": "istiod", **({"istio.io/rev": options.revision} if options.revision else {"istio": "pilot"})}


def _service(name: str, labels: JSON, selected: JSON) -> JSON:
    ports = [
        {"name": "grpc-xds", "port": 15010, "protocol": "TCP"},
        {"name": "https-dns", "port": 15012, "protocol": "TCP"},
        {"name": "https-webhook", "port": 443, "protocol": "TCP", "targetPort": 15017},
        {"name": "http-monitoring", "port": 15014, "protocol": "TCP"},
    ]
    return manifest("v1", "Service", name, labels, spec={"ports": ports, "selector": selected})


def deployment(options: Options) -> JSON:
    """istiod's Deployment, with what the options say of resources, environment and image."""
    k8s = options.spec["components"]["pilot"].get("k8s") or {}
    labels = pilot_labels(options, app="istiod", istio="pilot")
    pod_labels = {
        **labels,
        "istio.io/dataplane-mode": "none",
        "sidecar.istio.io/inject": "false",
    }
    if options.revision:
        pod_labels["istio"] = "istiod"
    annotations = {
        "prometheus.io/port": "15014",
        "prometheus.io/scrape": "true",
        "sidecar.istio.io/inject": "false",
    }
    matched = selector(options) if options.revision else {"istio": "pilot"}
    return manifest(
        "apps/v1",
        "Deployment",
        suffixed("istiod", options),
        labels,
        spec={
            "replicas": k8s.get("replicaCount", 1),
            "selector": {"matchLabels": matched},
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": annotations},
                "spec": {
                    "serviceAccountName": suffixed("istiod", options),
                    "containers": [_container(options, k8s)],
                    "volumes": _volumes(),
                },
            },
        },
    )


def _container(options: Options, k8s: JSON) -> JSON:
    return {
        "name": "discovery",
        "image": image(options.hub, "pilot", options.tag),
        "args": [
            "discovery",
            "--monitoringAddr=:15014",
            f"--log_output_level={options.value('global.logging.level')}",
            "--domain",
            "cluster.local",
        ],
        "env": _environment(options, k8s),
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _PORTS],
        # No initial delay and the shortest period: our istiod is there within a fraction of a second.
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8080},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "resources": k8s.get("resources") or options.value("pilot.resources"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "volumeMounts": [
            {"name": "istio-token", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
            {"name": "local-certs", "mountPath": "/var/run/secrets/istio-dns"},
            {"name": "cacerts", "mountPath": "/etc/cacerts", "readOnly": True},
        ],
    }


def _environment(options: Options, k8s: JSON) -> list[JSON]:
    fields = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "SERVICE_ACCOUNT": "spec.serviceAccountName",
    }
    texts = {
        "PILOT_TRACE_SAMPLING": str(options.value("pilot.traceSampling")),
        "CLUSTER_ID": str(options.value("global.multiCluster.clusterName") or "Kubernetes"),
        "PLATFORM": "",
        **{name: _text(value) for name, value in options.value("pilot.env", {}).items()},
    }
    own = {entry["name"]: entry for entry in k8s.get("env") or ()}
    entries: list[JSON] = [
        {"name": "REVISION", "value": naming.revision(options)},
        {"name": "PILOT_CERT_PROVIDER", "value": "istiod"},
        *(
            {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for name, path in fields.items()
        ),
        *({"name": name, "value": value} for name, value in texts.items()),
    ]
    return [entry for entry in entries if entry["name"] not in own] + list(own.values())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _volumes() -> list[JSON]:
    token = {"audience": "istio-ca", "expirationSeconds": 43200, "path": "istio-token"}
    return [
        {"name": "local-certs", "emptyDir": {"medium": "Memory"}},
        {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "cacerts", "secret": {"secretName": "cacerts", "optional": True}},
    ]


def autoscaler(name: str, labels: JSON) -> JSON:
    """A HorizontalPodAutoscaler on CPU use, from 1 to 5 pods."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"averageUtilization": 80, "type": "Utilization"}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"minReplicas": 1, "maxReplicas": 5, "metrics": [metric], "scaleTargetRef": target}
    return manifest("autoscaling/v2", "HorizontalPodAutoscaler", name, labels, spec=spec)
