"""What a valid object of a built-in kind is, with the real API server's words.

Source: the validation of Kubernetes 1.34, as seen in what a real server answers. One module per family of kinds; each
check yields the causes of a 422 in the order of the real validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.schema.validation import configuration, pods, policies, services, storage, workloads
from meshdojo.kubernetes.schema.validation.metadata import check_metadata

Check = Callable[[Object, Object | None], Iterable[FieldError]]

_ADMISSION, _RBAC = "admissionregistration.k8s.io", "rbac.authorization.k8s.io"
_CHECKS: dict[tuple[str, str], Check] = {
    ("", "Pod"): pods.check_pod,
    ("", "Service"): services.check_service,
    ("", "Namespace"): configuration.check_namespace,
    ("", "ConfigMap"): configuration.check_config_map,
    ("", "Secret"): configuration.check_secret,
    ("", "Event"): configuration.check_event,
    ("", "LimitRange"): configuration.check_limit_range,
    ("", "ResourceQuota"): configuration.check_quota,
    ("", "ReplicationController"): workloads.check_replication_controller,
    ("", "PersistentVolumeClaim"): storage.check_claim,
    ("", "PersistentVolume"): storage.check_volume,
    ("apps", "Deployment"): workloads.check_deployment,
    ("apps", "ReplicaSet"): workloads.check_replica_set,
    ("apps", "StatefulSet"): workloads.check_stateful_set,
    ("apps", "DaemonSet"): workloads.check_daemon_set,
    ("batch", "Job"): workloads.check_job,
    ("batch", "CronJob"): workloads.check_cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.check_autoscaler,
    ("policy", "PodDisruptionBudget"): workloads.check_disruption_budget,
    ("discovery.k8s.io", "EndpointSlice"): services.check_endpoint_slice,
    ("networking.k8s.io", "Ingress"): services.check_ingress,
    ("networking.k8s.io", "IngressClass"): services.check_ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): services.check_network_policy,
    ("scheduling.k8s.io", "PriorityClass"): configuration.check_priority_class,
    ("storage.k8s.io", "StorageClass"): configuration.check_storage_class,
    ("coordination.k8s.io", "Lease"): configuration.check_lease,
    (_RBAC, "Role"): policies.check_role,
    (_RBAC, "ClusterRole"): policies.check_cluster_role,
    (_RBAC, "RoleBinding"): policies.check_role_binding,
    (_RBAC, "ClusterRoleBinding"): policies.check_cluster_role_binding,
    (_ADMISSION, "MutatingWebhookConfiguration"): policies.check_webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): policies.check_webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): policies.check_custom_resource_definition,
}


def validate_builtin(resource: Resource, obj: Object, old: Object | None) -> None:
    """Raises the 422 with every violation: of metadata first, then of the kind's own fields."""
    if "get" not in resource.verbs:
        # Reviews are questions, not objects: they have no name.
        return
    causes = check_metadata(resource, obj, old)
    check = _CHECKS.get((resource.group, resource.kind))
    if check is not None:
        causes += check(obj, old)
    if causes:
        raise errors.invalid_object(resource, obj.get("metadata", {}).get("name", ""), causes)
