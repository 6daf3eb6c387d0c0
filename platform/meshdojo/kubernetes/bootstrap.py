"""What exists in every cluster before anyone asks: the first namespaces and the service of the API itself.

Source: pkg/controlplane/controller of Kubernetes (systemnamespaces, kubernetesservice).
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(api: Api, *, host: str, port: int) -> None:
    """Create what is missing. `host` and `port` are where the API listens; its service leads there."""
    for name in NAMESPACES:
        await _ensure(api, "namespaces", {"metadata": {"name": name}})
    await _ensure(api, "services", _service(str(api.block.services[1]), port), "default")
    await _keep(api, "endpointslices.discovery.k8s.io", _slice(host, port), "default")


async def _ensure(api: Api, resource: str, obj: Object, namespace: str | None = None) -> None:
    try:
        await api.create(resource, obj, namespace)
    except StatusError as error:
        if error.reason != "AlreadyExists":
            raise


async def _keep(api: Api, resource: str, obj: Object, namespace: str) -> None:
    """As `_ensure`, and bring an older one up to date: the address may be another than last time."""
    name = obj["metadata"]["name"]
    if api.store.get(resource, namespace, name) is None:
        await api.create(resource, obj, namespace)
    else:
        await api.update(resource, obj, namespace)


def _service(address: str, port: int) -> Object:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    return {"metadata": {"name": "kubernetes", "labels": labels}, "spec": {"clusterIP": address, "ports": ports}}


def _slice(host: str, port: int) -> Object:
    return {
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
