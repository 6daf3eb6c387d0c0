"""Defaults of pods, also of the pod templates in workloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.schema.defaults.fill import child, fill

_MODE = 0o644
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30


def default_pod(pod: Object) -> None:
    """Source: SetDefaults_Pod, SetDefaults_PodSpec and the strategy's PrepareForCreate (status)."""
    spec = child(pod, "spec")
    default_pod_spec(spec)
    fill(spec, enableServiceLinks=True)
    if spec.get("hostNetwork"):
        for container in containers(spec):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port.get("containerPort", 0))
    for container in containers(spec):
        _default_requests(container)
    status = child(pod, "status")
    fill(status, phase="Pending")
    for condition in status.get("conditions") or ():
        condition.setdefault("lastProbeTime", None)


def default_pod_spec(spec: Object) -> None:
    """The part that pods and pod templates have in common."""
    fill(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=_GRACE_SECONDS,
    )
    child(spec, "securityContext")
    _alias_service_account(spec)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    for container in containers(spec):
        _default_container(container)
    for constraint in spec.get("topologySpreadConstraints") or ():
        fill(constraint, nodeAffinityPolicy="Honor", nodeTaintsPolicy="Ignore")


def containers(spec: Object) -> Iterator[Object]:
    """Every container of a pod spec: init containers, containers, ephemeral containers."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def image_pull_policy(image: str) -> str:
    """Always for :latest or no tag at all, IfNotPresent for a tag or a digest."""
    if "@" in image:
        return "IfNotPresent"
    _, _, tag = image.rpartition("/")[2].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _alias_service_account(spec: Object) -> None:
    """`serviceAccount` is the deprecated twin of `serviceAccountName`: both say the same."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _default_container(container: Object) -> None:
    child(container, "resources")
    fill(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=image_pull_policy(str(container.get("image", ""))),
    )
    for port in container.get("ports") or ():
        fill(port, protocol="TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            fill(reference, apiVersion="v1")
        resource = (variable.get("valueFrom") or {}).get("resourceFieldRef")
        if resource is not None:
            fill(resource, divisor="0")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _default_probe(container[name])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_handler(handler)


def _default_requests(container: Object) -> None:
    """A limit without a request is the request too."""
    resources = container["resources"]
    limits = resources.get("limits") or {}
    if limits:
        resources["requests"] = {**limits, **(resources.get("requests") or {})}


def _default_probe(probe: Object) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe[name] = probe.get(name) or value
    _default_handler(probe)


def _default_handler(handler: Object) -> None:
    if handler.get("httpGet") is not None:
        fill(handler["httpGet"], path="/", scheme="HTTP")
    if handler.get("grpc") is not None:
        handler["grpc"].setdefault("service", "")


def _default_volume(volume: Object) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(source) is not None:
            fill(volume[source], defaultMode=_MODE)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    _default_downward(volume.get("downwardAPI"))
    for projection in (volume.get("projected") or {}).get("sources") or ():
        _default_downward(projection.get("downwardAPI"))
        token = projection.get("serviceAccountToken")
        if token is not None:
            fill(token, expirationSeconds=_TOKEN_SECONDS)


def _default_downward(source: dict[str, Any] | None) -> None:
    for item in (source or {}).get("items") or ():
        if item.get("fieldRef") is not None:
            fill(item["fieldRef"], apiVersion="v1")
