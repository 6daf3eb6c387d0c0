"""Tables: what ``kubectl get`` shows.

kubectl asks for ``application/json;as=Table;v=v1;g=meta.k8s.io``; the server computes the cells.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables and the printers of
Kubernetes 1.34. One module per family of kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.tables import metrics, networking, objects, views, workloads
from meshdojo.kubernetes.tables.columns import Printer
from meshdojo.kubernetes.tables.custom import custom_printer
from meshdojo.kubernetes.tables.pods import PODS

IncludeObject = Literal["None", "Metadata", "Object"]

_ADMISSION = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_NETWORKING = "networking.k8s.io"
_PRINTERS: dict[tuple[str, str], Printer] = {
    ("", "configmaps"): objects.CONFIG_MAPS,
    ("", "endpoints"): networking.ENDPOINTS,
    ("", "events"): objects.EVENTS,
    ("", "limitranges"): objects.CREATED_AT,
    ("", "namespaces"): objects.NAMESPACES,
    ("", "nodes"): objects.NODES,
    ("", "persistentvolumeclaims"): objects.CLAIMS,
    ("", "persistentvolumes"): objects.VOLUMES,
    ("", "pods"): PODS,
    ("", "podtemplates"): workloads.POD_TEMPLATES,
    ("", "replicationcontrollers"): workloads.REPLICATION_CONTROLLERS,
    ("", "resourcequotas"): objects.QUOTAS,
    ("", "secrets"): objects.SECRETS,
    ("", "serviceaccounts"): objects.SERVICE_ACCOUNTS,
    ("", "services"): networking.SERVICES,
    ("apps", "controllerrevisions"): objects.CONTROLLER_REVISIONS,
    ("apps", "daemonsets"): workloads.DAEMON_SETS,
    ("apps", "deployments"): workloads.DEPLOYMENTS,
    ("apps", "replicasets"): workloads.REPLICA_SETS,
    ("apps", "statefulsets"): workloads.STATEFUL_SETS,
    ("batch", "cronjobs"): workloads.CRON_JOBS,
    ("batch", "jobs"): workloads.JOBS,
    ("autoscaling", "horizontalpodautoscalers"): workloads.AUTOSCALERS,
    ("policy", "poddisruptionbudgets"): objects.DISRUPTION_BUDGETS,
    (_NETWORKING, "ingressclasses"): networking.INGRESS_CLASSES,
    (_NETWORKING, "ingresses"): networking.INGRESSES,
    (_NETWORKING, "networkpolicies"): networking.NETWORK_POLICIES,
    (_RBAC, "clusterrolebindings"): objects.BINDINGS,
    (_RBAC, "clusterroles"): objects.CREATED_AT,
    (_RBAC, "rolebindings"): objects.BINDINGS,
    (_RBAC, "roles"): objects.CREATED_AT,
    (_ADMISSION, "mutatingwebhookconfigurations"): objects.WEBHOOKS,
    (_ADMISSION, "validatingwebhookconfigurations"): objects.WEBHOOKS,
    ("apiextensions.k8s.io", "customresourcedefinitions"): objects.CREATED_AT,
    ("node.k8s.io", "runtimeclasses"): objects.RUNTIME_CLASSES,
    ("scheduling.k8s.io", "priorityclasses"): objects.PRIORITY_CLASSES,
    ("storage.k8s.io", "storageclasses"): objects.STORAGE_CLASSES,
    ("coordination.k8s.io", "leases"): objects.LEASES,
    ("discovery.k8s.io", "endpointslices"): networking.ENDPOINT_SLICES,
    ("events.k8s.io", "events"): objects.EVENTS,
    ("", "componentstatuses"): views.COMPONENTS,
    ("apiregistration.k8s.io", "apiservices"): views.API_SERVICES,
    ("metrics.k8s.io", "nodes"): metrics.NODES,
    ("metrics.k8s.io", "pods"): metrics.PODS,
}


def to_table(
    resource: Resource,
    objs: Sequence[Object],
    *,
    include_object: IncludeObject = "Metadata",
    headers: bool = True,
    resource_version: str = "",
    now: datetime,
    **metadata: Any,
) -> Object:
    """The Table of `objs`.

    `include_object` is the query parameter includeObject: what each row carries beside its cells. Without `headers`
    there are no column definitions (the later events of a watch). `now` must be aware of its time zone. `metadata`
    takes the other fields of a list's metadata (``continue``, ``remainingItemCount``).
    """
    printer = _printer(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": resource_version, **metadata},
        "columnDefinitions": [column.definition() for column in printer.columns] if headers else None,
        "rows": [_row(printer, obj, include_object, now) for obj in objs],
    }


def _printer(resource: Resource) -> Printer:
    if resource.crd is not None:
        return custom_printer(resource)
    return _PRINTERS.get((resource.group, resource.plural), objects.DEFAULT)


def _row(printer: Printer, obj: Object, include_object: IncludeObject, now: datetime) -> Object:
    row: Object = {"cells": printer.cells(obj, now)}
    conditions = printer.conditions(obj) if printer.conditions is not None else []
    if conditions:
        row["conditions"] = conditions
    if include_object == "Object":
        row["object"] = obj
    elif include_object == "Metadata":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row
