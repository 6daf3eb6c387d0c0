"""What exists in every cluster before anyone asks: the first namespaces and the service of the API itself.

Source: pkg/controlplane/controller of Kubernetes (systemnamespaces, kubernetesservice).
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.api import Api

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(api: Api, *, host: str, port: int) -> None:
    """Create what is missing. `host` and `port` are where the API listens; its service leads there."""
    for name in NAMESPACES:
        await _keep(api, "namespaces", {"metadata": {"name": name}})
    await _keep(api, "services", _service(str(api.block.services[1]), port), "default")
    await _keep(api, "endpointslices.discovery.k8s.io", _slice(host, port), "default")


async def _keep(api: Api, resource: str, obj: Object, namespace: str | None = None) -> None:
    """Create an object, or bring the one of an earlier start up to date: the address may be another now."""
    name = obj["metadata"]["name"]
    if api.store.get(resource, namespace or "", name) is None:
        await api.create(resource, obj, namespace)
    else:
        await api.patch(resource, name, obj, namespace)


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
