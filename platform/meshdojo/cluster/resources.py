"""Names of resources, and the URL paths that serve them.

`Resource` knows how a path is built (``/api/v1/namespaces/NS/pods/NAME/status``); `BUILT_IN` lists what every
cluster serves, so that the common kinds need no discovery.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

_VERSION = re.compile(r"v\d+((alpha|beta)\d+)?")


@dataclass(frozen=True)
class Name:
    """A parsed resource name: ``plural``, ``plural.group`` or ``plural.version.group`` ('' where not given)."""

    plural: str
    group: str = ""
    version: str = ""

    @classmethod
    def parse(cls, resource: str) -> Name:
        """The parts of ``plural[.version][.group]``. What looks like a version (``v1beta1``) is one."""
        plural, _, rest = resource.partition(".")
        first, _, last = rest.partition(".")
        return cls(plural, last, first) if _VERSION.fullmatch(first) else cls(plural, rest)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True)
class Resource:
    """One served resource, as discovery (APIResource in meta/v1) describes it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that `Client` methods take."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """As in an object's ``apiVersion``: ``group/version``, the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path; a namespace given for a cluster-scoped resource is left out (objects are then unambiguous)."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        tail = f"/{quote(name, safe='')}" if name else ""
        return f"{root}{scope}/{self.plural}{tail}" + (f"/{subresource}" if subresource else "")


def _built_in(group_version: str, namespaced: bool, kinds: str) -> list[Resource]:
    group, _, version = group_version.rpartition("/")
    pairs = (entry.split(":") for entry in kinds.split())
    return [Resource(group, version, plural, kind, namespaced) for plural, kind in pairs]


BUILT_IN: tuple[Resource, ...] = (
    *_built_in(
        "v1",
        True,
        "configmaps:ConfigMap endpoints:Endpoints events:Event limitranges:LimitRange "
        "persistentvolumeclaims:PersistentVolumeClaim pods:Pod podtemplates:PodTemplate "
        "replicationcontrollers:ReplicationController resourcequotas:ResourceQuota secrets:Secret "
        "serviceaccounts:ServiceAccount services:Service",
    ),
    *_built_in("v1", False, "namespaces:Namespace nodes:Node persistentvolumes:PersistentVolume"),
    *_built_in(
        "apps/v1",
        True,
        "controllerrevisions:ControllerRevision daemonsets:DaemonSet deployments:Deployment replicasets:ReplicaSet "
        "statefulsets:StatefulSet",
    ),
    *_built_in("batch/v1", True, "cronjobs:CronJob jobs:Job"),
    *_built_in("autoscaling/v2", True, "horizontalpodautoscalers:HorizontalPodAutoscaler"),
    *_built_in("node.k8s.io/v1", False, "runtimeclasses:RuntimeClass"),
    *_built_in("scheduling.k8s.io/v1", False, "priorityclasses:PriorityClass"),
    *_built_in("storage.k8s.io/v1", False, "storageclasses:StorageClass"),
    *_built_in("policy/v1", True, "poddisruptionbudgets:PodDisruptionBudget"),
    *_built_in("discovery.k8s.io/v1", True, "endpointslices:EndpointSlice"),
    *_built_in("coordination.k8s.io/v1", True, "leases:Lease"),
    *_built_in("networking.k8s.io/v1", True, "ingresses:Ingress networkpolicies:NetworkPolicy"),
    *_built_in("networking.k8s.io/v1", False, "ingressclasses:IngressClass"),
    *_built_in("rbac.authorization.k8s.io/v1", True, "roles:Role rolebindings:RoleBinding"),
    *_built_in(
        "rbac.authorization.k8s.io/v1", False, "clusterroles:ClusterRole clusterrolebindings:ClusterRoleBinding"
    ),
    *_built_in("apiextensions.k8s.io/v1", False, "customresourcedefinitions:CustomResourceDefinition"),
    *_built_in(
        "admissionregistration.k8s.io/v1",
        False,
        "mutatingwebhookconfigurations:MutatingWebhookConfiguration "
        "validatingwebhookconfigurations:ValidatingWebhookConfiguration",
    ),
)
