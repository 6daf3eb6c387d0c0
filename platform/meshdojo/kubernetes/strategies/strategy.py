"""The rule for most kinds."""

from __future__ import annotations

from meshdojo.cluster.client import Object, Propagation
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.requests import Options
from meshdojo.kubernetes.resources import Resource

# Kinds whose metadata.generation counts the changes of everything but metadata and status.
_COUNTED = frozenset(
    [
        "cronjobs.batch",
        "customresourcedefinitions.apiextensions.k8s.io",
        "daemonsets.apps",
        "deployments.apps",
        "endpointslices.discovery.k8s.io",
        "ingressclasses.networking.k8s.io",
        "ingresses.networking.k8s.io",
        "jobs.batch",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "networkpolicies.networking.k8s.io",
        "poddisruptionbudgets.policy",
        "pods",
        "priorityclasses.scheduling.k8s.io",
        "replicasets.apps",
        "replicationcontrollers",
        "statefulsets.apps",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ]
)

# What a status says before anyone has reported anything (the zero values that Go writes).
_FIRST_STATUS: dict[str, Object] = {
    "cronjobs.batch": {},
    "daemonsets.apps": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "deployments.apps": {},
    "horizontalpodautoscalers.autoscaling": {"currentMetrics": None, "desiredReplicas": 0},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "jobs.batch": {},
    "persistentvolumeclaims": {"phase": "Pending"},
    "persistentvolumes": {"phase": "Pending"},
    "poddisruptionbudgets.policy": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
    "replicasets.apps": {"replicas": 0},
    "replicationcontrollers": {"replicas": 0},
    "resourcequotas": {},
    "statefulsets.apps": {"availableReplicas": 0, "replicas": 0},
}

_UPSERTED = frozenset(
    [
        "clusterrolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "endpoints",
        "events",
        "leases.coordination.k8s.io",
        "limitranges",
        "rolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
        "services",
    ]
)

_RETURNED = frozenset(
    [
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ]
)


class Strategy:
    """How the objects of one kind are prepared. Methods return new objects and never change the ones they get."""

    def __init__(self, resource: Resource) -> None:
        self.storage = resource.storage
        self.status_apart = "status" in resource.subresources
        self.counts_generations = resource.crd is not None or self.storage in _COUNTED
        self.create_on_update = self.storage in _UPSERTED
        self.unconditional_update = resource.crd is None
        self.returns_deleted = self.storage in _RETURNED
        # What an object gets when it is deleted: something is to be done before it can go.
        self.deletion_finalizers: tuple[str, ...] = ()
        # May a write to /status change labels and annotations too?
        self.status_with_metadata = self.storage in ("pods", "nodes", "namespaces")

    def prepare_create(self, obj: Object) -> Object:
        """A new object: what the client may not set is dropped."""
        return with_field(obj, "status", _FIRST_STATUS.get(self.storage)) if self.status_apart else obj

    def prepare_update(self, new: Object, old: Object) -> Object:
        """A changed object: what this request may not change stays as it was."""
        if self.status_apart:
            new = with_field(new, "status", old.get("status"))
        return new

    def prepare_status(self, new: Object, old: Object) -> Object:
        """A write to the status subresource: nothing but the status changes."""
        metadata = new["metadata"] if self.status_with_metadata else old["metadata"]
        metadata = with_field(metadata, "managedFields", new["metadata"].get("managedFields"))
        return with_field({**old, "metadata": metadata}, "status", new.get("status"))

    def changes_generation(self, new: Object, old: Object) -> bool:
        """Whether this update counts as a new generation."""
        return self.counts_generations and _content(new, self.status_apart) != _content(old, self.status_apart)

    def grace_seconds(self, obj: Object, requested: int | None) -> int | None:
        """Seconds between the request to delete and the deletion; None for kinds that go at once."""
        return None

    def default_propagation(self, options: Options) -> Propagation:
        """What happens to dependents when the request does not say."""
        return "Background"

    def validate_create(self, obj: Object) -> list[FieldError]:
        """What only the registry can judge (allocations), of the object as the client sent it."""
        return []

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        """The same for a change."""
        return []


def with_field(obj: Object, field: str, value: object) -> Object:
    """`obj` with this field set, or without it when the value is None."""
    if value is None:
        return {key: kept for key, kept in obj.items() if key != field}
    return {**obj, field: value}


def _content(obj: Object, status_apart: bool) -> Object:
    return {k: v for k, v in obj.items() if k not in ("metadata", "apiVersion") and (k != "status" or not status_apart)}
