"""The resources that the API server serves: the built-in kinds and those that CustomResourceDefinitions add.

A `Resource` is one (group, version, plural). All versions of one kind share a *storage* ("plural.group"): objects are
stored at `storage_version` and converted when they are read (``conversion.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from meshdojo.cluster.client import Object

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
REVIEW_VERBS = ("create",)


@dataclass(frozen=True)
class Resource:
    """One served resource.

    `subresources` are names ("status", "scale", "log"). `storage` says where the objects are kept; empty means
    "plural.group" (``name``). `crd` is the CustomResourceDefinition a custom resource comes from, None for built-ins.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    list_kind: str = ""
    verbs: tuple[str, ...] = ALL_VERBS
    storage: str = ""
    storage_version: str = ""
    crd: Object | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "list_kind", self.list_kind or f"{self.kind}List")
        object.__setattr__(self, "storage", self.storage or self.name)
        object.__setattr__(self, "storage_version", self.storage_version or self.version)

    @property
    def name(self) -> str:
        """``pods``, ``deployments.apps``: how a client names it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """``v1``, ``apps/v1``: the apiVersion of its objects."""
        return group_version(self.group, self.version)


def group_version(group: str, version: str) -> str:
    """The apiVersion of a group ('' is core) and version."""
    return f"{group}/{version}" if group else version


def split_api_version(api_version: str) -> tuple[str, str]:
    """(group, version) of an apiVersion: ``apps/v1`` -> ("apps", "v1"), ``v1`` -> ("", "v1")."""
    group, _, version = api_version.rpartition("/")
    return group, version


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key, preferred version first: v2, v1, v1beta1, v1alpha1, then any other name alphabetically.

    Source: k8s.io/apimachinery/pkg/version CompareKubeAwareVersionStrings.
    """
    match = re.fullmatch(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?", version)
    if not match:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), version)


class Catalogue:
    """Every resource that is served now. Custom resources come and go with their CRDs."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._by_name: dict[str, Resource] = {}
        # Raised whenever the set of resources changes: caches of discovery and OpenAPI documents key on it.
        self.generation = 0
        for resource in resources:
            self._resources[(resource.group, resource.version, resource.plural)] = resource

    @classmethod
    def builtin(cls) -> Catalogue:
        """The built-in kinds only."""
        return cls(_builtin())

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at /apis/GROUP/VERSION/PLURAL (group '' is /api/VERSION/PLURAL)."""
        return self._resources.get((group, version, plural))

    def by_name(self, name: str) -> Resource | None:
        """``pods``, ``deployments.apps`` (preferred version), ``deployments.v1.apps``, ``pods.v1`` (pinned)."""
        known = self._by_name.get(name)
        if known is None:
            known = self._look_up(name)
            if known is not None:
                self._by_name[name] = known
        return known

    def _look_up(self, name: str) -> Resource | None:
        plural, _, rest = name.partition(".")
        served = self.versions_of(rest, plural)
        if served:
            return served[0]
        version, _, group = rest.partition(".")
        return self.find(group, version, plural)

    def versions_of(self, group: str, plural: str) -> list[Resource]:
        """The resource in every served version, the preferred one first."""
        found = [r for r in self if r.group == group and r.plural == plural]
        return sorted(found, key=lambda resource: version_priority(resource.version))

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource whose objects say this apiVersion and kind."""
        return next((r for r in self if (r.group, r.version, r.kind) == (group, version, kind)), None)

    def groups(self) -> dict[str, list[str]]:
        """Served versions by group, preferred first; the core group ('') first, then as registered."""
        served: dict[str, list[str]] = {}
        for resource in self:
            versions = served.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {group: sorted(versions, key=version_priority) for group, versions in served.items()}

    def in_group(self, group: str, version: str) -> list[Resource]:
        """The resources of one group version."""
        return [r for r in self if r.group == group and r.version == version]

    def add_crd(self, crd: Object) -> None:
        """Serve the kinds of `crd` (each version with ``served: true``), in place of what it served before."""
        self._drop(crd["metadata"]["name"])
        for resource in custom_resources(crd):
            self._resources[(resource.group, resource.version, resource.plural)] = resource
        self._changed()

    def remove_crd(self, name: str) -> None:
        """Stop serving the kinds of the CRD with this name ("plural.group")."""
        self._drop(name)
        self._changed()

    def _drop(self, name: str) -> None:
        gone = [key for key, r in self._resources.items() if r.crd is not None and r.name == name]
        for key in gone:
            del self._resources[key]

    def _changed(self) -> None:
        self._by_name.clear()
        self.generation += 1


def custom_resources(crd: Object) -> list[Resource]:
    """The resources that a CustomResourceDefinition serves, under the names that it was given."""
    spec = crd["spec"]
    names = (crd.get("status") or {}).get("acceptedNames") or spec["names"]
    storage_version = next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"])
    return [
        Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=tuple(version.get("subresources") or ()),
            list_kind=names.get("listKind") or f"{names['kind']}List",
            storage_version=storage_version,
            crd=crd,
        )
        for version in spec["versions"]
        if version.get("served")
    ]


def _kind(
    group: str,
    version: str,
    plural: str,
    kind: str,
    short_names: str = "",
    subresources: str = "",
    *,
    cluster: bool = False,
    categories: str = "",
    verbs: tuple[str, ...] = ALL_VERBS,
    storage: str = "",
) -> Resource:
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        namespaced=not cluster,
        short_names=tuple(short_names.split()),
        categories=tuple(categories.split()),
        subresources=tuple(subresources.split()),
        verbs=verbs,
        storage=storage,
    )


def _builtin() -> list[Resource]:
    return [*_core(), *_workloads(), *_policies(), *_machinery(), *_reviews()]


def _core() -> list[Resource]:
    pod_subresources = "status log exec attach portforward proxy eviction binding ephemeralcontainers"
    without_collection = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    return [
        _kind("", "v1", "configmaps", "ConfigMap", "cm"),
        _kind("", "v1", "endpoints", "Endpoints", "ep"),
        _kind("", "v1", "events", "Event", "ev"),
        _kind("", "v1", "limitranges", "LimitRange", "limits"),
        _kind("", "v1", "namespaces", "Namespace", "ns", "status finalize", cluster=True, verbs=without_collection),
        _kind("", "v1", "nodes", "Node", "no", "status", cluster=True),
        _kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "status"),
        _kind("", "v1", "persistentvolumes", "PersistentVolume", "pv", "status", cluster=True),
        _kind("", "v1", "pods", "Pod", "po", pod_subresources, categories="all"),
        _kind("", "v1", "podtemplates", "PodTemplate"),
        _kind("", "v1", "replicationcontrollers", "ReplicationController", "rc", "status scale", categories="all"),
        _kind("", "v1", "resourcequotas", "ResourceQuota", "quota", "status"),
        _kind("", "v1", "secrets", "Secret"),
        _kind("", "v1", "serviceaccounts", "ServiceAccount", "sa", "token"),
        _kind("", "v1", "services", "Service", "svc", "status proxy", categories="all"),
    ]


def _workloads() -> list[Resource]:
    return [
        _kind("apps", "v1", "controllerrevisions", "ControllerRevision"),
        _kind("apps", "v1", "daemonsets", "DaemonSet", "ds", "status", categories="all"),
        _kind("apps", "v1", "deployments", "Deployment", "deploy", "status scale", categories="all"),
        _kind("apps", "v1", "replicasets", "ReplicaSet", "rs", "status scale", categories="all"),
        _kind("apps", "v1", "statefulsets", "StatefulSet", "sts", "status scale", categories="all"),
        _kind("batch", "v1", "cronjobs", "CronJob", "cj", "status", categories="all"),
        _kind("batch", "v1", "jobs", "Job", "", "status", categories="all"),
        _autoscalers("v2"),
        _autoscalers("v1"),
        _kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "status"),
    ]


def _autoscalers(version: str) -> Resource:
    plural, kind = "horizontalpodautoscalers", "HorizontalPodAutoscaler"
    known = _kind("autoscaling", version, plural, kind, "hpa", "status", categories="all")
    return replace(known, storage_version="v2")


def _policies() -> list[Resource]:
    networking, rbac = "networking.k8s.io", "rbac.authorization.k8s.io"
    return [
        _kind(networking, "v1", "ingressclasses", "IngressClass", cluster=True),
        _kind(networking, "v1", "ingresses", "Ingress", "ing", "status"),
        _kind(networking, "v1", "networkpolicies", "NetworkPolicy", "netpol"),
        _kind(rbac, "v1", "clusterrolebindings", "ClusterRoleBinding", cluster=True),
        _kind(rbac, "v1", "clusterroles", "ClusterRole", cluster=True),
        _kind(rbac, "v1", "rolebindings", "RoleBinding"),
        _kind(rbac, "v1", "roles", "Role"),
        _kind("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", cluster=True),
        _kind("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", cluster=True),
        _kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", cluster=True),
    ]


def _machinery() -> list[Resource]:
    admission = "admissionregistration.k8s.io"
    extensions = "apiextensions.k8s.io"
    return [
        _kind(admission, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", cluster=True),
        _kind(admission, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", cluster=True),
        _kind(
            extensions,
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            "crd crds",
            "status",
            cluster=True,
            categories="api-extensions",
        ),
        _kind("coordination.k8s.io", "v1", "leases", "Lease"),
        _kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
        # The same events as core/v1's, in the newer shape.
        _kind("events.k8s.io", "v1", "events", "Event", "ev", storage="events"),
    ]


def _reviews() -> list[Resource]:
    authentication, authorization = "authentication.k8s.io", "authorization.k8s.io"
    return [
        _kind(authentication, "v1", "selfsubjectreviews", "SelfSubjectReview", cluster=True, verbs=REVIEW_VERBS),
        _kind(authentication, "v1", "tokenreviews", "TokenReview", cluster=True, verbs=REVIEW_VERBS),
        _kind(authorization, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=REVIEW_VERBS),
        _kind(
            authorization, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", cluster=True, verbs=REVIEW_VERBS
        ),
        _kind(
            authorization, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", cluster=True, verbs=REVIEW_VERBS
        ),
        _kind(authorization, "v1", "subjectaccessreviews", "SubjectAccessReview", cluster=True, verbs=REVIEW_VERBS),
    ]
