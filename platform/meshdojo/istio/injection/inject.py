"""A pod with its proxy: the pure function behind the webhook and ``istioctl kube-inject``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from meshdojo.istio.injection import probes, proxy
from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.injection.decision import STATUS
from meshdojo.istio.injection.probes import PROXY
from meshdojo.istio.injection.proxy import Subject
from meshdojo.istio.injection.workload import Workload, canonical_labels, workload
from meshdojo.istio.models.proxy_config import ProxyConfig

JSON = dict[str, Any]
TEMPLATES = ("sidecar", "gateway")
_NO_EFFECT = (
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/excludeInterfaces",
    "sidecar.istio.io/bootstrapOverride",
    "sidecar.istio.io/userVolume",
    "sidecar.istio.io/userVolumeMount",
)


class CannotInject(ValueError):
    """The pod asks for something that is not possible; the message names the annotation and what is allowed."""


def inject(
    pod: JSON,
    namespace: str,
    config: InjectionConfig,
    proxy_configs: Iterable[ProxyConfig] = (),
    made_by: Workload | None = None,
) -> JSON:
    """The pod with its proxy; `pod` itself is not changed. Raises CannotInject.

    Of `proxy_configs` those of the pod's namespace count, over those of the root namespace. `made_by` is the workload,
    where the pod does not say it itself (templates).
    """
    template = _template(pod, config)
    sidecar = template == "sidecar"
    settings = _proxy_config(pod, config, _in_order(proxy_configs, namespace, config.root_namespace))
    containers, inits, answers = _rewritten(pod, config, sidecar)
    base = {**pod, "spec": {**pod["spec"], "containers": containers, "initContainers": inits}}
    subject = Subject(
        pod=base,
        namespace=namespace,
        workload=made_by or workload(pod),
        config=config,
        proxy_config=settings,
        probers=answers,
        prometheus=_prometheus_of_app(pod, config) if sidecar else "",
    )
    spec = _with_sidecar(subject) if sidecar else _with_gateway(subject)
    return {**base, "metadata": _metadata(subject, spec, sidecar), "spec": spec}


def warnings(pod: JSON) -> list[str]:
    """What of the pod's wishes has no effect in this mesh."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return [f'annotation "{name}" has no effect in the embedded mesh' for name in _NO_EFFECT if name in annotations]


def _template(pod: JSON, config: InjectionConfig) -> str:
    wish = ((pod.get("metadata") or {}).get("annotations") or {}).get("inject.istio.io/templates")
    names = [name.strip() for name in wish.split(",")] if wish else config.default_templates
    for name in names:
        if name not in TEMPLATES:
            raise CannotInject(f'requested template "{name}" not found; have {", ".join(TEMPLATES)}')
    return names[-1]


def _rewritten(pod: JSON, config: InjectionConfig, sidecar: bool) -> tuple[list[JSON], list[JSON], str]:
    """Containers and init containers with rewritten probes, and ISTIO_KUBE_APP_PROBERS."""
    spec = pod["spec"]
    containers, inits = list(spec.get("containers") or ()), list(spec.get("initContainers") or ())
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    wish = str(annotations.get("sidecar.istio.io/rewriteAppHTTPProbers", ""))
    wanted = wish.lower() == "true" if wish else config.value("sidecarInjectorWebhook.rewriteAppHTTPProbe", True)
    if not sidecar or not wanted:
        return containers, inits, ""
    port = int(annotations.get("status.sidecar.istio.io/port", config.value("global.proxy.statusPort", 15020)))
    changed, answers = probes.rewrite([*containers, *inits], port)
    return changed[: len(containers)], changed[len(containers) :], answers


def _with_sidecar(subject: Subject) -> JSON:
    spec, own = subject.pod["spec"], proxy.sidecar(subject)
    containers = [container for container in spec["containers"] if container["name"] != PROXY]
    own = _overlaid(own, _given(spec["containers"]))
    inits = [container for container in spec["initContainers"] if container["name"] not in (PROXY, proxy.INIT)]
    first = [proxy.init_container(subject)]
    if subject.native:
        first.append(own)
    else:
        containers = [own, *containers]
    return {
        **spec,
        "containers": containers,
        "initContainers": [*first, *inits],
        "volumes": _volumes(spec, sidecar=True),
    }


def _with_gateway(subject: Subject) -> JSON:
    spec = subject.pod["spec"]
    own = _overlaid(proxy.gateway(subject), _given(spec["containers"]))
    others = [container for container in spec["containers"] if container["name"] != PROXY]
    low_ports = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
    changed = {
        **spec,
        "containers": [own, *others],
        "securityContext": {**low_ports, **(spec.get("securityContext") or {})},
        "volumes": _volumes(spec, sidecar=False),
    }
    return changed if spec["initContainers"] else {key: changed[key] for key in changed if key != "initContainers"}


def _given(containers: Iterable[JSON]) -> JSON:
    """What a manifest says of the proxy's container itself."""
    return next((container for container in containers if container["name"] == PROXY), {})


def _overlaid(own: JSON, given: JSON) -> JSON:
    """The container as injected, with what the manifest says put over it (an image ``auto`` says nothing)."""
    changes = {key: value for key, value in given.items() if value not in ("auto", None, {}, [])}
    merged = {**own, **changes}
    for field, key in (("env", "name"), ("ports", "containerPort"), ("volumeMounts", "mountPath")):
        if field in changes:
            entries = {entry[key]: entry for entry in [*own.get(field, ()), *changes[field]]}
            merged[field] = list(entries.values())
    return merged


def _volumes(spec: JSON, *, sidecar: bool) -> list[JSON]:
    own = proxy.volumes(sidecar=sidecar)
    names = {volume["name"] for volume in own}
    return [*own, *(volume for volume in spec.get("volumes") or () if volume["name"] not in names)]


def _metadata(subject: Subject, spec: JSON, sidecar: bool) -> JSON:
    metadata = subject.pod.get("metadata") or {}
    labels = canonical_labels(subject.labels, subject.workload.name)
    if sidecar:
        labels["security.istio.io/tlsMode"] = subject.labels.get("security.istio.io/tlsMode", "istio")
    annotations = {"istio.io/rev": subject.config.revision}
    if names := [container["name"] for container in subject.containers]:
        for key in ("kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container"):
            annotations[key] = subject.annotations.get(key, names[0])
    annotations |= subject.config.injected_annotations
    annotations |= _prometheus(subject) | {STATUS: _status(subject, spec, sidecar)}
    return {
        **metadata,
        "labels": {**subject.labels, **labels},
        "annotations": {**subject.annotations, **annotations},
    }


def _status(subject: Subject, spec: JSON, sidecar: bool) -> str:
    inits = [proxy.INIT, PROXY] if sidecar and subject.native else [proxy.INIT] if sidecar else None
    return json.dumps(
        {
            "initContainers": inits,
            "containers": None if sidecar and subject.native else [PROXY],
            "volumes": [volume["name"] for volume in proxy.volumes(sidecar=sidecar)],
            "imagePullSecrets": None,
            "revision": subject.config.revision,
        },
        separators=(",", ":"),
    )


def _prometheus(subject: Subject) -> JSON:
    if not _merges_metrics(subject.annotations, subject.config):
        return {}
    return {
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": str(subject.status_port),
        "prometheus.io/scrape": "true",
    }


def _merges_metrics(annotations: Mapping[str, str], config: InjectionConfig) -> bool:
    if annotations.get("prometheus.istio.io/merge-metrics") == "false":
        return False
    return annotations.get("prometheus.io/scrape") != "false" and bool(config.mesh.get("enablePrometheusMerge", True))


def _prometheus_of_app(pod: JSON, config: InjectionConfig) -> str:
    """Where the application's own metrics are, for the agent to merge them into the proxy's."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    if annotations.get("prometheus.io/scrape") != "true" or not _merges_metrics(annotations, config):
        return ""
    own = {key: annotations.get(f"prometheus.io/{key}", "") for key in ("scrape", "path", "port")}
    return json.dumps(own, separators=(",", ":"))


def _proxy_config(pod: JSON, config: InjectionConfig, proxy_configs: Iterable[ProxyConfig]) -> JSON:
    """The mesh's default, then ProxyConfig objects that select the pod, then the pod's annotation."""
    metadata = pod.get("metadata") or {}
    defaults = config.mesh.get("defaultConfig") or {}
    merged = {key: value for key, value in defaults.items() if key != "discoveryAddress"}
    for entry in proxy_configs:
        merged = _merge(merged, _settings(entry, metadata.get("labels") or {}))
    return _merge(merged, _annotated(metadata))


def _in_order(entries: Iterable[ProxyConfig], namespace: str, root: str) -> list[ProxyConfig]:
    """Those of the root namespace first, so that the pod's own namespace wins; those with a selector come last."""
    found = [entry for entry in entries if entry.namespace in (namespace, root)]
    return sorted(found, key=lambda entry: (entry.namespace == namespace, entry.spec.selector is not None))


def _annotated(metadata: JSON) -> JSON:
    text = (metadata.get("annotations") or {}).get("proxy.istio.io/config", "")
    try:
        value = yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise CannotInject(f"annotation proxy.istio.io/config: {error}") from None
    if not isinstance(value, dict):
        raise CannotInject(f"annotation proxy.istio.io/config: expected a mapping, found {type(value).__name__}")
    return value


def _settings(entry: ProxyConfig, labels: Mapping[str, str]) -> JSON:
    spec = entry.spec
    wanted = spec.selector.match_labels if spec.selector else {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return {}
    found: JSON = {"proxyMetadata": dict(spec.environment_variables)} if spec.environment_variables else {}
    return found | ({} if spec.concurrency is None else {"concurrency": spec.concurrency})


def _merge(base: JSON, over: JSON) -> JSON:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
