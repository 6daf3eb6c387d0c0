"""The containers and volumes that injection adds: istio-init, istio-proxy, and what they mount.

The shape (order of fields, names, defaults) is that of a pod recorded on a real cluster, so that what a learner sees
in ``kubectl describe`` is what they will see there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.injection.probes import PROXY
from meshdojo.istio.injection.workload import Workload

JSON = dict[str, Any]
INIT = "istio-init"
USER = 1337


@dataclass(frozen=True)
class Subject:
    """The pod that gets a proxy, and what was found out about it."""

    pod: JSON
    namespace: str
    workload: Workload
    config: InjectionConfig
    proxy_config: JSON
    probers: str = ""
    prometheus: str = ""

    @property
    def annotations(self) -> Mapping[str, str]:
        """The pod's annotations, {} for none."""
        return (self.pod.get("metadata") or {}).get("annotations") or {}

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's labels, {} for none."""
        return (self.pod.get("metadata") or {}).get("labels") or {}

    @property
    def containers(self) -> list[JSON]:
        """The application's own containers."""
        return [container for container in self.pod["spec"].get("containers") or () if container["name"] != PROXY]

    @property
    def native(self) -> bool:
        """Whether the proxy is a native sidecar: an init container that keeps running."""
        return self.annotations.get("sidecar.istio.io/nativeSidecar") != "false"

    def setting(self, annotation: str, path: str, default: Any = "") -> str:
        """An annotation of the pod, or else a Helm value."""
        return str(self.annotations.get(annotation, self.config.value(path, default)))

    @property
    def status_port(self) -> int:
        """The port of the agent's health, 15020 unless pod or installation say otherwise."""
        return int(self.setting("status.sidecar.istio.io/port", "global.proxy.statusPort", 15020))


def init_container(subject: Subject) -> JSON:
    """istio-init: on a real cluster it writes the iptables rules; here its arguments are read (`Redirection`)."""
    return {
        "name": INIT,
        "image": _image(subject, "global.proxy_init.image"),
        "args": _iptables(subject),
        "resources": _resources(subject),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": False,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
        **_pull_policy(subject),
    }


def _iptables(subject: Subject) -> list[str]:
    def traffic(word: str, value: str, default: str = "") -> str:
        return subject.setting(f"traffic.sidecar.istio.io/{word}", f"global.proxy.{value}", default)

    excluded = [port for port in traffic("excludeInboundPorts", "excludeInboundPorts").split(",") if port]
    arguments = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", str(USER)]
    arguments += ["-m", subject.setting("sidecar.istio.io/interceptionMode", "", "REDIRECT")]
    arguments += ["-i", traffic("includeOutboundIPRanges", "includeIPRanges", "*")]
    arguments += ["-x", traffic("excludeOutboundIPRanges", "excludeIPRanges")]
    arguments += ["-b", traffic("includeInboundPorts", "includeInboundPorts", "*")]
    arguments += ["-d", ",".join(["15090", "15021", *excluded, str(subject.status_port)])]
    if ports := traffic("includeOutboundPorts", "includeOutboundPorts"):
        arguments += ["-q", ports]
    if ports := traffic("excludeOutboundPorts", "excludeOutboundPorts"):
        arguments += ["-o", ports]
    return [*arguments, f"--log_output_level={_agent_log_level(subject)}"]


def sidecar(subject: Subject) -> JSON:
    """istio-proxy beside an application."""
    hook = {"exec": {"command": ["pilot-agent", "wait"]}}
    drain = ["pilot-agent", "request", f"--debug-port={subject.status_port}", "POST", "drain"]
    hold = subject.config.value("global.proxy.holdApplicationUntilProxyStarts") or subject.proxy_config.get(
        "holdApplicationUntilProxyStarts"
    )
    extra: JSON = {}
    if subject.native:
        extra = {"restartPolicy": "Always", "lifecycle": {"preStop": {"exec": {"command": drain}}}}
    elif hold:
        extra = {"lifecycle": {"postStart": hook}}
    return {
        "name": PROXY,
        "image": _image(subject, "global.proxy.image"),
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        "args": _arguments(subject, "sidecar"),
        "env": environment(subject),
        **extra,
        "startupProbe": _probe(periodSeconds=1, failureThreshold=600),
        "readinessProbe": _readiness(subject),
        "resources": _resources(subject),
        "securityContext": _unprivileged(),
        "volumeMounts": mounts(sidecar=True),
        **_pull_policy(subject),
    }


def gateway(subject: Subject) -> JSON:
    """istio-proxy as a gateway: the only container of its pod."""
    return {
        "name": PROXY,
        "image": _image(subject, "global.proxy.image"),
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        "args": _arguments(subject, "router"),
        "env": environment(subject),
        "readinessProbe": _readiness(subject),
        "resources": _resources(subject),
        "securityContext": {"runAsGroup": USER, "runAsUser": USER},
        "volumeMounts": mounts(sidecar=False),
        **_pull_policy(subject),
    }


def _arguments(subject: Subject, role: str) -> list[str]:
    return [
        "proxy",
        role,
        "--domain",
        f"$(POD_NAMESPACE).svc.{subject.config.value('global.proxy.clusterDomain', 'cluster.local')}",
        f"--proxyLogLevel={subject.setting('sidecar.istio.io/logLevel', 'global.proxy.logLevel', 'warning')}",
        "--proxyComponentLogLevel="
        + subject.setting("sidecar.istio.io/componentLogLevel", "global.proxy.componentLogLevel", "misc:error"),
        f"--log_output_level={_agent_log_level(subject)}",
    ]


def environment(subject: Subject) -> list[JSON]:
    """What the agent reads: who the pod is, how its proxy is configured, how its probes are answered."""
    config = subject.config
    entries = [
        _text("PILOT_CERT_PROVIDER", str(config.value("global.pilotCertProvider", "istiod"))),
        _text("CA_ADDR", config.ca_address),
        _field("POD_NAME", "metadata.name"),
        _field("POD_NAMESPACE", "metadata.namespace"),
        _field("INSTANCE_IP", "status.podIP"),
        _field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        _field("HOST_IP", "status.hostIP"),
        _limit("ISTIO_CPU_LIMIT", "limits.cpu"),
        _text("PROXY_CONFIG", json.dumps(subject.proxy_config, separators=(",", ":")) + "\n"),
        _text("ISTIO_META_POD_PORTS", _ports(subject.containers)),
        _text("ISTIO_META_APP_CONTAINERS", ",".join(container["name"] for container in subject.containers)),
        _limit("GOMEMLIMIT", "limits.memory"),
        _limit("GOMAXPROCS", "limits.cpu"),
        _text("ISTIO_META_CLUSTER_ID", str(config.value("global.multiCluster.clusterName") or "Kubernetes")),
        _field("ISTIO_META_NODE_NAME", "spec.nodeName"),
        _text("ISTIO_META_INTERCEPTION_MODE", subject.annotations.get("sidecar.istio.io/interceptionMode", "REDIRECT")),
        _text("ISTIO_META_WORKLOAD_NAME", subject.labels.get("service.istio.io/workload-name", subject.workload.name)),
        _text("ISTIO_META_OWNER", subject.workload.owner(subject.namespace)),
        _text("ISTIO_META_MESH_ID", str(config.value("global.meshID") or config.trust_domain)),
        _text("TRUST_DOMAIN", config.trust_domain),
    ]
    metadata = subject.proxy_config.get("proxyMetadata") or {}
    entries += [_text(name, str(value)) for name, value in metadata.items()]
    if subject.prometheus:
        entries.append(_text("ISTIO_PROMETHEUS_ANNOTATIONS", subject.prometheus))
    if subject.probers:
        entries.append(_text("ISTIO_KUBE_APP_PROBERS", subject.probers))
    return entries


def _text(name: str, value: str) -> JSON:
    return {"name": name, "value": value}


def _field(name: str, path: str) -> JSON:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _limit(name: str, resource: str) -> JSON:
    return {"name": name, "valueFrom": {"resourceFieldRef": {"divisor": "1", "resource": resource}}}


def _ports(containers: Iterable[JSON]) -> str:
    order = ("name", "hostPort", "containerPort", "protocol", "hostIP")
    ports = [port for container in containers for port in container.get("ports") or ()]
    lines = [json.dumps({key: port[key] for key in order if key in port}, separators=(",", ":")) for port in ports]
    return "\n".join(["[", *(f"    {',' if index else ''}{line}" for index, line in enumerate(lines)), "]"])


def _image(subject: Subject, path: str) -> str:
    return subject.config.image(subject.setting("sidecar.istio.io/proxyImage", path, "proxyv2"))


def _pull_policy(subject: Subject) -> JSON:
    policy = subject.config.value("global.imagePullPolicy")
    return {"imagePullPolicy": policy} if policy else {}


def _agent_log_level(subject: Subject) -> str:
    return subject.setting("sidecar.istio.io/agentLogLevel", "global.logging.level", "default:info")


def _resources(subject: Subject) -> JSON:
    """Annotations for one of them replace all of the values."""
    own = {
        "requests": {"cpu": "sidecar.istio.io/proxyCPU", "memory": "sidecar.istio.io/proxyMemory"},
        "limits": {"cpu": "sidecar.istio.io/proxyCPULimit", "memory": "sidecar.istio.io/proxyMemoryLimit"},
    }
    found: JSON = {}
    for part, names in own.items():
        given = {key: subject.annotations[name] for key, name in names.items() if name in subject.annotations}
        if given:
            found[part] = given
    return found or dict(subject.config.value("global.proxy.resources", {}))


def _readiness(subject: Subject) -> JSON:
    def setting(word: str, value: str, default: int) -> int:
        return int(subject.setting(f"readiness.status.sidecar.istio.io/{word}", f"global.proxy.{value}", default))

    return _probe(
        initialDelaySeconds=setting("initialDelaySeconds", "readinessInitialDelaySeconds", 0),
        periodSeconds=setting("periodSeconds", "readinessPeriodSeconds", 15),
        failureThreshold=setting("failureThreshold", "readinessFailureThreshold", 4),
    )


def _probe(**settings: int) -> JSON:
    given = {name: value for name, value in settings.items() if value}
    return {"httpGet": {"path": "/healthz/ready", "port": 15021}, "timeoutSeconds": 3, **given}


def _unprivileged() -> JSON:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsGroup": USER,
        "runAsNonRoot": True,
        "runAsUser": USER,
    }


_MOUNTS: Sequence[tuple[str, str]] = (
    ("workload-socket", "/var/run/secrets/workload-spiffe-uds"),
    ("credential-socket", "/var/run/secrets/credential-uds"),
    ("workload-certs", "/var/run/secrets/workload-spiffe-credentials"),
    ("istiod-ca-cert", "/var/run/secrets/istio"),
    ("istio-ca-crl", "/var/run/secrets/istio/crl"),
    ("istio-data", "/var/lib/istio/data"),
    ("istio-envoy", "/etc/istio/proxy"),
    ("istio-token", "/var/run/secrets/tokens"),
    ("istio-podinfo", "/etc/istio/pod"),
)


def mounts(*, sidecar: bool) -> list[JSON]:
    """The volume mounts of istio-proxy; gateways (not `sidecar`) have one fewer."""
    return [{"mountPath": path, "name": name} for name, path in _MOUNTS if sidecar or name != "istio-ca-crl"]


def volumes(*, sidecar: bool) -> list[JSON]:
    """The volumes that the proxy mounts; only sidecars have the list of revoked certificates."""
    fields = [("labels", "metadata.labels"), ("annotations", "metadata.annotations")]
    items = [{"fieldRef": {"apiVersion": "v1", "fieldPath": path}, "path": name} for name, path in fields]
    token = {"audience": "istio-ca", "expirationSeconds": 43200, "path": "istio-token"}
    crl: JSON = {"name": "istio-ca-crl", "configMap": {"name": "istio-ca-crl", "optional": True}}
    return [
        {"name": "workload-socket", "emptyDir": {}},
        {"name": "credential-socket", "emptyDir": {}},
        {"name": "workload-certs", "emptyDir": {}},
        {"name": "istio-envoy", "emptyDir": {"medium": "Memory"}},
        {"name": "istio-data", "emptyDir": {}},
        {"name": "istio-podinfo", "downwardAPI": {"items": items}},
        {"name": "istio-token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "istiod-ca-cert", "configMap": {"name": "istio-ca-root-cert"}},
        *([crl] if sidecar else []),
    ]
