"""``istioctl kube-inject``: pods and workloads in a file, with the sidecar written into them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.injection.config import BadConfig, InjectionConfig
from meshdojo.istio.injection.decision import IGNORED_NAMESPACES, INJECT, already_injected
from meshdojo.istio.injection.inject import CannotInject, inject, warnings
from meshdojo.istio.injection.workload import Workload
from meshdojo.istio.istioctl import cluster, files
from meshdojo.istio.istioctl.command import CommandError, Invocation

JSON = dict[str, Any]
_TEMPLATES = {
    "DaemonSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


def run(invocation: Invocation) -> int:
    """``istioctl kube-inject``: prints the manifests with the sidecar in them. Raises `CommandError`."""
    if not invocation["filename"]:
        raise CommandError("filename not specified (see --filename or -f)")
    objects = files.documents(invocation["filename"])
    config = _config(invocation)
    try:
        injected = [injected_object(one, config) for one in objects]
    except CannotInject as error:
        raise CommandError(str(error)) from None
    text = yaml.safe_dump_all(injected, explicit_start=len(injected) > 1, sort_keys=False)
    if invocation["output"]:
        Path(invocation["output"]).write_text(text)
    else:
        sys.stdout.write(text)
    return 0


def _config(invocation: Invocation) -> InjectionConfig:
    """From files, or else from the cluster's installation."""
    given = [invocation[name] for name in ("injectConfigFile", "meshConfigFile", "valuesFile")]
    try:
        if all(given):
            config, mesh, values = (Path(name).read_text() for name in given)
            return InjectionConfig.load({"config": config, "values": values}, mesh, invocation["revision"] or "default")
        return cluster.run(invocation, lambda client: _installed(client, invocation))
    except (BadConfig, OSError) as error:
        raise CommandError(str(error)) from None


async def _installed(client: HTTPClient, invocation: Invocation) -> InjectionConfig:
    revision, system = invocation["revision"], invocation["istioNamespace"]
    suffix = f"-{revision}" if revision and revision != "default" else ""
    try:
        injector = await client.get("configmaps", f"istio-sidecar-injector{suffix}", system)
        mesh = await client.get("configmaps", f"istio{suffix}", system)
    except StatusError as error:
        raise CommandError(
            f"could not read the injection configuration ({error}): is Istio installed? See istioctl install --help"
        ) from None
    return InjectionConfig.load(injector["data"], mesh["data"].get("mesh", ""), revision or "default")


def injected_object(obj: JSON, config: InjectionConfig) -> JSON:
    """The object with its pod template injected; objects without pods, and those that do not want it, as they are."""
    kind = str(obj.get("kind"))
    path = _TEMPLATES.get(kind, ())
    pod = _at(obj, path) if path else obj
    if (kind != "Pod" and not path) or pod is None or not _wanted(pod, obj):
        return obj
    metadata = obj.get("metadata") or {}
    made_by = Workload(str(metadata.get("name", "")), kind, str(obj.get("apiVersion")))
    for warning in warnings(pod):
        print(f"Warning: {warning}", file=sys.stderr)
    return _replaced(obj, path, inject(pod, str(metadata.get("namespace") or "default"), config, (), made_by))


def _wanted(pod: JSON, obj: JSON) -> bool:
    metadata = pod.get("metadata") or {}
    name = f"{obj.get('kind')}/{(obj.get('metadata') or {}).get('name')}"
    if already_injected(metadata):
        print(f"Skipping injection because {name} has injected the sidecar already", file=sys.stderr)
        return False
    if pod.get("spec", {}).get("hostNetwork"):
        print(f"Skipping injection because {name} uses the host network", file=sys.stderr)
        return False
    if (obj.get("metadata") or {}).get("namespace") in IGNORED_NAMESPACES:
        return False
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return str(labels.get(INJECT, annotations.get(INJECT, "true"))).lower() in ("true", "yes", "y", "on")


def _at(obj: JSON, path: tuple[str, ...]) -> JSON | None:
    node: Any = obj
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _replaced(obj: JSON, path: tuple[str, ...], value: JSON) -> JSON:
    if not path:
        return value
    return {**obj, path[0]: _replaced(obj[path[0]], path[1:], value)}
