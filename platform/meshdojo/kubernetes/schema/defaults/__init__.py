"""The values that the API server fills in for built-in kinds.

Source: the defaulting functions of Kubernetes 1.34 as seen in what a real server answers. Each function changes an
object that its caller owns; only absent fields are set.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.defaults import networking, objects, policies, workloads
from meshdojo.kubernetes.schema.defaults.pods import default_pod

_DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("", "Pod"): default_pod,
    ("", "Service"): networking.default_service,
    ("", "Namespace"): objects.default_namespace,
    ("", "Node"): objects.default_node,
    ("", "Secret"): objects.default_secret,
    ("", "Endpoints"): networking.default_endpoints,
    ("", "Event"): objects.default_event,
    ("events.k8s.io", "Event"): objects.default_new_event,
    ("", "PersistentVolume"): objects.default_persistent_volume,
    ("", "PersistentVolumeClaim"): objects.default_persistent_volume_claim,
    ("", "ReplicationController"): workloads.default_replication_controller,
    ("", "LimitRange"): objects.default_limit_range,
    ("", "ResourceQuota"): objects.default_status,
    ("apps", "Deployment"): workloads.default_deployment,
    ("apps", "ReplicaSet"): workloads.default_replica_set,
    ("apps", "StatefulSet"): workloads.default_stateful_set,
    ("apps", "DaemonSet"): workloads.default_daemon_set,
    ("batch", "Job"): workloads.default_job,
    ("batch", "CronJob"): workloads.default_cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.default_autoscaler,
    ("policy", "PodDisruptionBudget"): objects.default_disruption_budget,
    ("scheduling.k8s.io", "PriorityClass"): objects.default_priority_class,
    ("storage.k8s.io", "StorageClass"): objects.default_storage_class,
    ("networking.k8s.io", "Ingress"): networking.default_ingress,
    ("networking.k8s.io", "NetworkPolicy"): networking.default_network_policy,
    ("discovery.k8s.io", "EndpointSlice"): networking.default_endpoint_slice,
    ("rbac.authorization.k8s.io", "RoleBinding"): policies.default_binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): policies.default_binding,
    ("rbac.authorization.k8s.io", "Role"): policies.default_role,
    ("rbac.authorization.k8s.io", "ClusterRole"): policies.default_role,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): policies.default_mutating_webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): policies.default_validating_webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): policies.default_custom_resource_definition,
}


def default_builtin(resource: Resource, obj: Object) -> Object:
    """A copy of `obj` with the defaults of its built-in kind."""
    fill = _DEFAULTS.get((resource.group, resource.kind))
    if fill is None:
        return obj
    filled = copy.deepcopy(obj)
    fill(filled)
    return filled
