"""What exists in every cluster before anyone asks: namespaces, priorities, a storage class, roles, the API's service.

Source: pkg/controlplane/controller of Kubernetes (systemnamespaces, kubernetesservice).
"""

from __future__ import annotations

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import claims
from meshdojo.kubernetes.admission.pods import PRIORITY_CLASSES
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth import policy
from meshdojo.kubernetes.schema.validation.configuration import SYSTEM_PRIORITIES

_CRITICAL = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
    "another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}
_STORAGE_CLASS = {
    "metadata": {"name": "standard", "annotations": {claims.DEFAULT_CLASS: "true"}},
    "provisioner": claims.PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(api: Api, *, host: str, port: int) -> None:
    """Create what is missing. `host` and `port` are where the API listens; its service leads there."""
    for name in NAMESPACES:
        await _keep(api, "namespaces", {"metadata": {"name": name}})
    for name, value in SYSTEM_PRIORITIES.items():
        await _keep(api, PRIORITY_CLASSES, {"metadata": {"name": name}, "value": value, "description": _CRITICAL[name]})
    await _keep(api, claims.CLASSES, _STORAGE_CLASS)
    for resource, obj in policy.objects():
        await _keep_policy(api, resource, obj)
    await _keep(api, "services", _service(str(api.block.services[1]), port), "default")
    await _keep(api, "endpointslices.discovery.k8s.io", _slice(host, port), "default")


async def _keep(api: Api, resource: str, obj: Object, namespace: str | None = None) -> None:
    """Create an object, or bring the one of an earlier start up to date: the address may be another now."""
    name = obj["metadata"]["name"]
    if api.store.get(resource, namespace or "", name) is None:
        await api.create(resource, obj, namespace)
    else:
        await api.patch(resource, name, obj, namespace)


async def _keep_policy(api: Api, resource: str, obj: Object) -> None:
    """Create a role or binding, or undo changes to one; rules of aggregated ones are the controller's."""
    current = api.store.get(resource, "", obj["metadata"]["name"])
    if current is None:
        await api.create(resource, obj)
        return
    changed = {field: obj[field] for field in ("rules", "subjects") if obj.get(field) not in (None, current.get(field))}
    if changed:
        await api.patch(resource, obj["metadata"]["name"], changed)


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
