"""The roles and bindings that every cluster has: those for people and for service accounts.

The real ones of the controllers and nodes (``system:controller:…``, ``system:node`` and their kin) are not here: in
this cluster these are parts of the API server's own process.
Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.auth.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP

ADMINS = "kubeadm:cluster-admins"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_READ = "get list watch"
_WRITE = "create delete deletecollection patch update"
_ALL = "create delete deletecollection get list patch update watch"

_WORKLOADS = (
    "daemonsets daemonsets/status deployments deployments/scale deployments/status {}replicasets replicasets/scale "
    "replicasets/status "
)
_APPS = "controllerrevisions " + _WORKLOADS.format("") + "statefulsets statefulsets/scale statefulsets/status"
_EXTENSIONS = _WORKLOADS.format("ingresses ingresses/status networkpolicies ") + "replicationcontrollers/scale"
_INTO_PODS = "pods/attach pods/exec pods/portforward pods/proxy"

# Role -> (API group, resources, verbs), words separated by blanks.
_AGGREGATES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "view": (
        (
            "",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
            "replicationcontrollers/scale serviceaccounts services services/status",
            _READ,
        ),
        (
            "",
            "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
            "resourcequotas resourcequotas/status",
            _READ,
        ),
        ("", "namespaces", _READ),
        ("discovery.k8s.io", "endpointslices", _READ),
        ("apps", _APPS, _READ),
        ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", _READ),
        ("batch", "cronjobs cronjobs/status jobs jobs/status", _READ),
        ("extensions", _EXTENSIONS, _READ),
        ("policy", "poddisruptionbudgets poddisruptionbudgets/status", _READ),
        ("networking.k8s.io", "ingresses ingresses/status networkpolicies", _READ),
        ("resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates", _READ),
    ),
    "edit": (
        ("", f"{_INTO_PODS} secrets services/proxy", _READ),
        ("", "serviceaccounts", "impersonate"),
        ("", f"pods {_INTO_PODS}", _WRITE),
        ("", "pods/eviction", "create"),
        (
            "",
            "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
            "serviceaccounts services services/proxy",
            _WRITE,
        ),
        ("", "serviceaccounts/token", "create"),
        (
            "apps",
            "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
            "statefulsets/scale",
            _WRITE,
        ),
        ("autoscaling", "horizontalpodautoscalers", _WRITE),
        ("batch", "cronjobs jobs", _WRITE),
        (
            "extensions",
            "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets "
            "replicasets/scale replicationcontrollers/scale",
            _WRITE,
        ),
        ("policy", "poddisruptionbudgets", _WRITE),
        ("networking.k8s.io", "ingresses networkpolicies", _WRITE),
        ("coordination.k8s.io", "leases", _ALL),
        ("resource.k8s.io", "resourceclaims resourceclaimtemplates", _WRITE),
    ),
    "admin": (
        ("authorization.k8s.io", "localsubjectaccessreviews", "create"),
        (GROUP, "rolebindings roles", _ALL),
    ),
}
_SYSTEM: dict[str, tuple[tuple[str, str, str], ...]] = {
    "cluster-admin": (("*", "*", "*"),),
    "system:auth-delegator": (
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    ),
    "system:basic-user": (
        ("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
        ("authentication.k8s.io", "selfsubjectreviews", "create"),
    ),
}
# Role -> paths that may be read.
_PATHS = {
    "cluster-admin": "*",
    "system:discovery": "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
    "system:public-info-viewer": "/healthz /livez /readyz /version /version/",
    "system:service-account-issuer-discovery": "/.well-known/openid-configuration /.well-known/openid-configuration/ "
    "/openid/v1/jwks /openid/v1/jwks/",
}
# Binding -> (role, groups).
_BINDINGS = {
    "cluster-admin": ("cluster-admin", "system:masters"),
    ADMINS: ("cluster-admin", ADMINS),
    "system:basic-user": ("system:basic-user", "system:authenticated"),
    "system:discovery": ("system:discovery", "system:authenticated"),
    "system:public-info-viewer": ("system:public-info-viewer", "system:authenticated system:unauthenticated"),
    "system:service-account-issuer-discovery": ("system:service-account-issuer-discovery", "system:serviceaccounts"),
}


def objects() -> Iterator[tuple[str, Object]]:
    """(resource, object) for each of them."""
    for name in sorted({*_SYSTEM, *_PATHS}):
        yield CLUSTER_ROLES, _role(name, [*_rules(_SYSTEM.get(name, ())), *_path_rules(name)])
    for name, rules in _AGGREGATES.items():
        yield CLUSTER_ROLES, _role(f"system:aggregate-to-{name}", _rules(rules), _aggregate_label(name))
        yield CLUSTER_ROLES, _aggregated(name)
    yield CLUSTER_ROLES, _metrics_reader()
    for name, (role, groups) in _BINDINGS.items():
        yield CLUSTER_ROLE_BINDINGS, _binding(name, role, groups.split())


def _rules(rules: tuple[tuple[str, str, str], ...]) -> list[Object]:
    return [{"apiGroups": [group], "resources": what.split(), "verbs": verbs.split()} for group, what, verbs in rules]


def _path_rules(name: str) -> list[Object]:
    paths = _PATHS.get(name, "").split()
    return [{"nonResourceURLs": paths, "verbs": ["*" if paths == ["*"] else "get"]}] if paths else []


def _aggregate_label(name: str) -> dict[str, str]:
    return {f"{GROUP}/aggregate-to-{name}": "true"}


def _metadata(name: str, labels: dict[str, str]) -> Object:
    return {"name": name, "labels": labels, "annotations": _ANNOTATIONS}


def _role(name: str, rules: list[Object], labels: dict[str, str] | None = None) -> Object:
    return {"metadata": _metadata(name, {**_LABELS, **(labels or {})}), "rules": rules}


def _aggregated(name: str) -> Object:
    """``view`` is part of ``edit``, and ``edit`` of ``admin``."""
    whole = {"view": "edit", "edit": "admin"}.get(name)
    labels = {**_LABELS, **(_aggregate_label(whole) if whole else {})}
    selector = {"matchLabels": _aggregate_label(name)}
    return {"metadata": _metadata(name, labels), "aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": None}


def _metrics_reader() -> Object:
    """What metrics-server brings, so that who may see pods may see what they use."""
    labels = {label: value for name in _AGGREGATES for label, value in _aggregate_label(name).items()}
    rules = _rules((("metrics.k8s.io", "pods nodes", _READ),))
    return {"metadata": {"name": "system:aggregated-metrics-reader", "labels": labels}, "rules": rules}


def _binding(name: str, role: str, groups: list[str]) -> Object:
    ours = name == ADMINS
    return {
        "metadata": {"name": name} if ours else _metadata(name, _LABELS),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group} for group in groups],
    }
