"""What exec, attach, port-forward and logs check before they bother the node: pod and container.

Source: k8s.io/kubernetes/pkg/registry/core/pod (strategy: streamLocation, LogLocation), words of Kubernetes 1.34.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors

# (namespace, name) -> the pod. Raises StatusError 404.
GetPod = Callable[[str, str], Awaitable[Object]]

_KINDS = ("initContainers", "containers", "ephemeralContainers")


def container_of(pod: Object, container: str) -> str:
    """The container that is meant: the one asked for, or the only one. Raises StatusError 400."""
    name, spec = pod["metadata"]["name"], pod.get("spec") or {}
    names = [c["name"] for kind in _KINDS for c in spec.get(kind) or ()]
    if container:
        if container not in names:
            raise errors.bad_request(f"container {container} is not valid for pod {name}")
        return container
    only = [c["name"] for c in spec.get("containers") or ()]
    if len(only) == 1:
        return str(only[0])
    raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")


def require_node(pod: Object) -> None:
    """Raises StatusError 400 for a pod that is on no node yet."""
    if not (pod.get("spec") or {}).get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
