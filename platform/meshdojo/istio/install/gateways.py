"""Ingress and egress gateways: Deployments whose pods are proxies, and the Services in front of them."""

from __future__ import annotations

from typing import Any, Literal

from meshdojo.istio.install import naming, rbac
from meshdojo.istio.install.istiod import autoscaler
from meshdojo.istio.install.naming import chart_labels, manifest, operator_labels, suffixed
from meshdojo.istio.install.options import Options
from meshdojo.istio.version import image

JSON = dict[str, Any]
Direction = Literal["ingress", "egress"]


def manifests(direction: Direction, entry: JSON, options: Options) -> list[JSON]:
    """The objects of one gateway; `entry` is its element of components.ingressGateways or egressGateways."""
    name = str(entry.get("name") or f"istio-{direction}gateway")
    label = entry.get("label") or {"istio": f"{direction}gateway"}
    values = options.value(f"gateways.istio-{direction}gateway", {})
    selected = {"app": name, **label}
    labels = {
        **chart_labels(f"istio-{direction}", name),
        **operator_labels(_component(direction), options),
        **selected,
    }
    account = f"{name}-service-account"
    found = [
        *rbac.gateway(name, labels, account),
        _deployment(name, account, selected, labels, entry, values, options),
        _service(name, selected, labels, entry, values),
        *([autoscaler(name, labels)] if values.get("autoscaleEnabled") else []),
    ]
    return [_in_namespace(one, entry.get("namespace")) for one in found]


def _component(direction: Direction) -> str:
    return f"{direction.capitalize()}Gateways"


def _in_namespace(one: JSON, namespace: str | None) -> JSON:
    return {**one, "metadata": {**one["metadata"], "namespace": namespace}} if namespace else one


def _service(name: str, selected: JSON, labels: JSON, entry: JSON, values: JSON) -> JSON:
    own = (entry.get("k8s") or {}).get("service") or {}
    kind, ports = own.get("type") or values.get("type"), own.get("ports") or values["ports"]
    spec: JSON = {"ports": [{"protocol": "TCP", **port} for port in ports], "selector": selected, "type": kind}
    return manifest("v1", "Service", name, labels, spec=spec)


def _deployment(
    name: str, account: str, selected: JSON, labels: JSON, entry: JSON, values: JSON, options: Options
) -> JSON:
    k8s = entry.get("k8s") or {}
    pod_labels = {
        **labels,
        "chart": "gateways",
        "heritage": "Tiller",
        "istio.io/dataplane-mode": "none",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        "sidecar.istio.io/inject": "false",
    }
    annotations = {
        "istio.io/rev": naming.revision(options),
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": "15020",
        "prometheus.io/scrape": "true",
        "sidecar.istio.io/inject": "false",
    }
    spec = {
        "replicas": k8s.get("replicaCount", 1),
        "selector": {"matchLabels": selected},
        "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}},
        "template": {
            "metadata": {"labels": pod_labels, "annotations": annotations},
            "spec": {
                "serviceAccountName": account,
                "securityContext": {"runAsGroup": 1337, "runAsNonRoot": True, "runAsUser": 1337},
                "containers": [_container(name, entry, values, options)],
                "volumes": _volumes(name, options),
            },
        },
    }
    return manifest("apps/v1", "Deployment", name, labels, spec=spec)


def _container(name: str, entry: JSON, values: JSON, options: Options) -> JSON:
    k8s = entry.get("k8s") or {}
    ports = [{"containerPort": port["targetPort"], "protocol": "TCP"} for port in _ports(entry, values)]
    return {
        "name": "istio-proxy",
        "image": image(options.hub, str(options.value("global.proxy.image")), options.tag),
        "args": [
            "proxy",
            "router",
            "--domain",
            "$(POD_NAMESPACE).svc.cluster.local",
            f"--proxyLogLevel={options.value('global.proxy.logLevel')}",
            f"--proxyComponentLogLevel={options.value('global.proxy.componentLogLevel')}",
            f"--log_output_level={options.value('global.logging.level')}",
        ],
        "env": _environment(name, entry, options),
        "ports": [*ports, {"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        # Without the real one's delay of a second: a gateway has its configuration before that.
        "readinessProbe": {
            "failureThreshold": 30,
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
        },
        "resources": k8s.get("resources") or values.get("resources") or options.value("global.proxy.resources"),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": volume["name"], "mountPath": _MOUNTS[volume["name"]]} for volume in _volumes(name, options)
        ],
    }


def _ports(entry: JSON, values: JSON) -> list[JSON]:
    given = ((entry.get("k8s") or {}).get("service") or {}).get("ports") or values["ports"]
    return [{**port, "targetPort": port.get("targetPort", port["port"])} for port in given]


def _environment(name: str, entry: JSON, options: Options) -> list[JSON]:
    namespace = entry.get("namespace") or naming.NAMESPACE
    trust_domain = str(options.spec["meshConfig"].get("trustDomain") or "cluster.local")
    fields = {
        "NODE_NAME": "spec.nodeName",
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "INSTANCE_IP": "status.podIP",
        "HOST_IP": "status.hostIP",
        "SERVICE_ACCOUNT": "spec.serviceAccountName",
        "ISTIO_META_NODE_NAME": "spec.nodeName",
    }
    texts = {
        "PILOT_CERT_PROVIDER": "istiod",
        "CA_ADDR": f"{suffixed('istiod', options)}.{naming.NAMESPACE}.svc:15012",
        "ISTIO_META_WORKLOAD_NAME": name,
        "ISTIO_META_OWNER": f"kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{name}",
        "ISTIO_META_MESH_ID": str(options.value("global.meshID") or trust_domain),
        "TRUST_DOMAIN": trust_domain,
        "ISTIO_META_UNPRIVILEGED_POD": "true",
        "ISTIO_META_CLUSTER_ID": str(options.value("global.multiCluster.clusterName") or "Kubernetes"),
    }
    limit = {"resourceFieldRef": {"divisor": "1", "resource": "limits.cpu"}}
    return [
        *({"name": key, "value": value} for key, value in texts.items()),
        *(
            {"name": key, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for key, path in fields.items()
        ),
        {"name": "ISTIO_CPU_LIMIT", "valueFrom": limit},
    ]


_MOUNTS = {
    "workload-socket": "/var/run/secrets/workload-spiffe-uds",
    "credential-socket": "/var/run/secrets/credential-uds",
    "workload-certs": "/var/run/secrets/workload-spiffe-credentials",
    "istio-envoy": "/etc/istio/proxy",
    "config-volume": "/etc/istio/config",
    "istiod-ca-cert": "/var/run/secrets/istio",
    "istio-token": "/var/run/secrets/tokens",
    "istio-data": "/var/lib/istio/data",
    "podinfo": "/etc/istio/pod",
}


def _volumes(name: str, options: Options) -> list[JSON]:
    fields = [("labels", "metadata.labels"), ("annotations", "metadata.annotations")]
    items = [{"fieldRef": {"apiVersion": "v1", "fieldPath": path}, "path": key} for key, path in fields]
    token = {"audience": "istio-ca", "expirationSeconds": 43200, "path": "istio-token"}
    return [
        *({"name": key, "emptyDir": {}} for key in ("workload-socket", "credential-socket", "workload-certs")),
        {"name": "istio-envoy", "emptyDir": {}},
        {"name": "istio-data", "emptyDir": {}},
        {"name": "istiod-ca-cert", "configMap": {"name": "istio-ca-root-cert"}},
        {"name": "podinfo", "downwardAPI": {"items": items}},
        {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "config-volume", "configMap": {"name": suffixed("istio", options), "optional": True}},
    ]
