"""Objects that are nowhere stored, and say how the API server is put together: API services, component statuses.

They can be read, and nothing else: no server can be aggregated here, and the components are parts of the API server's
own process. Source: k8s.io/kube-aggregator (its printer and automanaged APIServices), and the answers of a real server.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.discovery import Served
from meshdojo.kubernetes.resources import Resource

_VERBS = ("get", "list")
API_SERVICES = Resource(
    "apiregistration.k8s.io",
    "v1",
    "apiservices",
    "APIService",
    "apiservice",
    namespaced=False,
    categories=("api-extensions",),
    verbs=_VERBS,
)
COMPONENTS = Resource(
    "",
    "v1",
    "componentstatuses",
    "ComponentStatus",
    "componentstatus",
    namespaced=False,
    short_names=("cs",),
    verbs=_VERBS,
)
RESOURCES = (API_SERVICES, COMPONENTS)

# Who comes first where groups have kinds of one name. Source: the real server's APIServices.
_PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
}
_OTHERS, _VERSION, _OTHER_VERSION = 1000, 15, 100
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30}
_SCHEDULER, _CONTROLLERS, _STORE = "scheduler", "controller-manager", "etcd-0"


def component_statuses() -> list[Object]:
    """A real cluster's components, which here answer with the API server or not at all."""
    healthy = [{"type": "Healthy", "status": "True", "message": "ok"}]
    return [
        {
            "apiVersion": COMPONENTS.api_version,
            "kind": COMPONENTS.kind,
            "metadata": {"name": name},
            "conditions": healthy,
        }
        for name in (_CONTROLLERS, _STORE, _SCHEDULER)
    ]


def api_services(served: Served, root: Object, definitions: Iterable[Object]) -> list[Object]:
    """One for each group version, in order of their names.

    `root` is an object as old as the cluster (a namespace); `definitions` are the CustomResourceDefinitions that are
    stored.
    """
    ages: dict[str, Object] = {}
    for crd in definitions:
        for version in crd["spec"]["versions"]:
            name = f"{version['name']}.{crd['spec']['group']}"
            known = ages.get(name)
            if known is None or crd["metadata"]["creationTimestamp"] < known["metadata"]["creationTimestamp"]:
                ages[name] = crd
    services = [
        _api_service(group, version, root, ages.get(f"{version}.{group}"))
        for group, versions in served.groups().items()
        for version in versions
    ]
    return sorted(services, key=lambda service: str(service["metadata"]["name"]))


def _api_service(group: str, version: str, root: Object, definition: Object | None) -> Object:
    name = f"{version}.{group}"
    origin = (definition or root)["metadata"]
    spec = {
        "groupPriorityMinimum": _PRIORITIES.get(group, _OTHERS),
        "version": version,
        "versionPriority": _VERSIONS.get((group, version), _VERSION if group in _PRIORITIES else _OTHER_VERSION),
    }
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": origin["creationTimestamp"],
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {
        "apiVersion": API_SERVICES.api_version,
        "kind": API_SERVICES.kind,
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid5(uuid.UUID(root["metadata"]["uid"]), name)),
            "resourceVersion": origin["resourceVersion"],
            "creationTimestamp": origin["creationTimestamp"],
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "true" if definition else "onstart"},
        },
        "spec": {"group": group, **spec} if group else spec,
        "status": {"conditions": [condition]},
    }
