"""Namespaces, pods and services: are they part of the mesh as they seem to be?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshdojo.istio.analysis.message import Message
from meshdojo.istio.analysis.world import SYSTEM, Item, World
from meshdojo.istio.workload import has_sidecar

_PROTOCOLS = (
    *("http", "https", "http2", "grpc", "grpc-web", "mongo", "mysql", "redis", "tcp", "tls", "udp", "http_proxy"),
)
_NAMED = re.compile(rf"({'|'.join(_PROTOCOLS)})(-.*)?")


def namespaces(world: World) -> Iterator[Message]:
    """IST0102: namespaces that say neither yes nor no to injection."""
    for item in world.all("Namespace"):
        decided = "istio-injection" in item.labels or "istio.io/rev" in item.labels
        if item.name in SYSTEM or decided or item.labels.get("istio.io/dataplane-mode"):
            continue
        text = (
            "The namespace is not enabled for Istio injection. Run 'kubectl label namespace "
            f"{item.name} istio-injection=enabled' to enable it, or 'kubectl label namespace {item.name} "
            "istio-injection=disabled' to explicitly mark it as not needing injection."
        )
        yield Message("IST0102", "Info", item.at("metadata", "name"), text)


def pods(world: World) -> Iterator[Message]:
    """Pods in an injected namespace that started before it was one."""
    injected = {one.name for one in world.all("Namespace") if one.labels.get("istio-injection") == "enabled"}
    for item in world.all("Pod"):
        if item.namespace in injected and not has_sidecar(item.spec) and not _left_out(item):
            text = (
                f"The pod {item.namespace}/{item.name} is missing the Istio proxy. "
                "This can often be resolved by restarting or redeploying the workload."
            )
            yield Message("IST0103", "Warning", item.at("metadata", "name"), text)


def _left_out(pod: Item) -> bool:
    annotations = pod.metadata.get("annotations") or {}
    wish = pod.labels.get("sidecar.istio.io/inject", annotations.get("sidecar.istio.io/inject", ""))
    finished = (pod.manifest.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return wish == "false" or bool(pod.spec.get("hostNetwork")) or finished


def port_names(world: World) -> Iterator[Message]:
    """IST0118: ports of services whose name does not tell the protocol."""
    for item in world.all("Service"):
        if item.namespace in SYSTEM or item.spec.get("type") == "ExternalName" or item.name == "kubernetes":
            continue
        for index, port in enumerate(item.spec.get("ports") or ()):
            name = str(port.get("name") or "")
            if not port.get("appProtocol") and not _NAMED.fullmatch(name):
                target = port.get("targetPort", port["port"])
                text = (
                    f"Port name {name} (port: {port['port']}, targetPort: {target}) "
                    "doesn't follow the naming convention of Istio port."
                )
                yield Message("IST0118", "Info", item.at("spec", "ports", index, "port"), text)
