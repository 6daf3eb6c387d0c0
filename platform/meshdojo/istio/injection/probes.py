"""Probes of the application, rewritten so that they reach it past mutual TLS.

The kubelet asks the agent (port 15020, path /app-health/CONTAINER/PROBE), which asks the app; how, it learns from the
environment variable ISTIO_KUBE_APP_PROBERS. Source: istio's pkg/kube/inject/app_probe.go, compared with a real pod.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

JSON = dict[str, Any]

_PROBES = {"readinessProbe": "readyz", "livenessProbe": "livez", "startupProbe": "startupz"}
_HOOKS = {"preStop": "prestopz", "postStart": "poststartz"}
_HANDLERS = ("httpGet", "tcpSocket", "grpc")
PROXY = "istio-proxy"


def rewrite(containers: Iterable[JSON], status_port: int) -> tuple[list[JSON], str]:
    """The containers with their probes sent to `status_port`, and the value of ISTIO_KUBE_APP_PROBERS ('' if none).

    Commands, and probes of a named port that the container does not declare, stay as they are.
    """
    probers: JSON = {}
    rewritten = [_container(container, status_port, probers) for container in containers]
    return rewritten, json.dumps(probers, separators=(",", ":"), sort_keys=True) if probers else ""


def _container(container: JSON, status_port: int, probers: JSON) -> JSON:
    if container.get("name") == PROXY:
        return container
    changed = dict(container)
    for field, word in _PROBES.items():
        path = f"/app-health/{container['name']}/{word}"
        if probe := _redirected(container, container.get(field), path, status_port, probers):
            changed[field] = probe
    if hooks := _hooks(container, status_port, probers):
        changed["lifecycle"] = {**container["lifecycle"], **hooks}
    return changed


def _hooks(container: JSON, status_port: int, probers: JSON) -> JSON:
    """Lifecycle hooks by HTTP go the same way."""
    found = {}
    for field, word in _HOOKS.items():
        handler = (container.get("lifecycle") or {}).get(field) or {}
        if "httpGet" in handler:
            path = f"/app-lifecycle/{container['name']}/{word}"
            if hook := _redirected(container, handler, path, status_port, probers):
                found[field] = hook
    return found


def _redirected(container: JSON, probe: JSON | None, path: str, status_port: int, probers: JSON) -> JSON | None:
    kind = next((kind for kind in _HANDLERS if probe and kind in probe), None)
    if probe is None or kind is None:
        return None
    handler = dict(probe[kind])
    port = _port(container, handler.get("port"))
    if port is None:
        return None
    probers[path] = {kind: {**handler, "port": port}}
    if probe.get("timeoutSeconds"):
        probers[path]["timeoutSeconds"] = probe["timeoutSeconds"]
    request = handler if kind == "httpGet" else {}
    request = {key: value for key, value in request.items() if key != "host"}
    target = {**request, "path": path, "port": status_port}
    if "scheme" in target:
        target["scheme"] = "HTTP"
    return {**{key: value for key, value in probe.items() if key != kind}, "httpGet": target}


def _port(container: JSON, port: Any) -> int | None:
    if isinstance(port, int):
        return port
    named = (entry for entry in container.get("ports") or () if entry.get("name") == port)
    found = next(named, None)
    return found["containerPort"] if found else None
