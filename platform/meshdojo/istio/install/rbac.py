"""Who istiod and the gateways are, and what they may do: only what our control plane needs."""

from __future__ import annotations

from typing import Any

from meshdojo.istio.install import naming
from meshdojo.istio.install.naming import NAMESPACE, chart_labels, cluster_manifest, manifest
from meshdojo.istio.install.options import Options

JSON = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io/v1"
_ISTIO_GROUPS = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"]
_READ = ["get", "list", "watch"]
READER = "istio-reader-service-account"


def reader(options: Options) -> list[JSON]:
    """What the account by which other tools read the mesh may do."""
    labels = {**chart_labels("istiod", "istio-reader"), "app": "istio-reader"}
    name = naming.suffixed("istio-reader-clusterrole", options) + f"-{NAMESPACE}"
    core = ["endpoints", "pods", "services", "nodes", "replicationcontrollers", "namespaces", "secrets", "configmaps"]
    rules = [
        _rule(_ISTIO_GROUPS, ["*"], _READ),
        _rule([""], core, _READ),
        _rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], _READ),
        _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
        _rule(["apps"], ["replicasets"], _READ),
        _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ]
    return _cluster_role(name, labels, rules, READER)


def reader_account() -> JSON:
    """The account itself is the base chart's."""
    return manifest("v1", "ServiceAccount", READER, {**chart_labels("base", "istio-reader"), "app": "istio-reader"})


def istiod(options: Options) -> list[JSON]:
    """istiod's account and its roles."""
    labels = naming.bare_labels(app="istiod")
    account = naming.suffixed("istiod", options)
    name = naming.suffixed("istiod-clusterrole", options) + f"-{NAMESPACE}"
    webhooks = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]
    statuses = [f"{plural}/status" for plural in ("workloadentries", "serviceentries", "virtualservices", "gateways")]
    rules = [
        _rule(["admissionregistration.k8s.io"], webhooks, [*_READ, "update", "patch"]),
        _rule(_ISTIO_GROUPS, ["*"], _READ),
        _rule(["networking.istio.io"], ["workloadentries"], [*_READ, "update", "patch", "create", "delete"]),
        _rule(["networking.istio.io"], [*statuses, "destinationrules/status"], [*_READ, "update", "patch"]),
        _rule(["security.istio.io"], ["authorizationpolicies/status"], [*_READ, "update", "patch"]),
        _rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], _READ),
        _rule([""], ["pods", "nodes", "services", "namespaces", "endpoints", "secrets"], _READ),
        _rule([""], ["configmaps"], ["create", *_READ, "update"]),
        _rule(["", "events.k8s.io"], ["events"], ["create", "patch"]),
        _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
        _rule(["networking.k8s.io"], ["ingresses", "ingressclasses"], _READ),
        _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ]
    # For gateways that the Gateway API asks for; stored only, as all roles here.
    changes = ["get", "watch", "list", "update", "patch", "create", "delete"]
    managed = [
        _rule(["apps"], ["deployments"], changes),
        _rule(["autoscaling"], ["horizontalpodautoscalers"], changes),
        _rule(["policy"], ["poddisruptionbudgets"], changes),
        _rule([""], ["services", "serviceaccounts"], changes),
    ]
    own = [
        _rule([""], ["secrets"], ["create", *_READ, "update", "delete"]),
        _rule([""], ["configmaps"], ["delete"]),
        _rule(["coordination.k8s.io"], ["leases"], ["get", "update", "patch", "create"]),
    ]
    return [
        manifest("v1", "ServiceAccount", account, labels),
        *_cluster_role(name, labels, rules, account),
        *_cluster_role(_gateway_controller(options), labels, managed, account),
        *_role(account, labels, own, account),
    ]


def _gateway_controller(options: Options) -> str:
    return naming.suffixed("istiod-gateway-controller", options) + f"-{NAMESPACE}"


def gateway(name: str, labels: JSON, account: str) -> list[JSON]:
    """A gateway's account, which may read the secrets with its certificates."""
    return [
        manifest("v1", "ServiceAccount", account, labels),
        *_role(f"{name}-sds", labels, [_rule([""], ["secrets"], ["get", "watch", "list"])], account),
    ]


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> JSON:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _cluster_role(name: str, labels: JSON, rules: list[JSON], account: str) -> list[JSON]:
    return [
        cluster_manifest(_RBAC, "ClusterRole", name, labels, rules=rules),
        cluster_manifest(_RBAC, "ClusterRoleBinding", name, labels, **_bound("ClusterRole", name, account)),
    ]


def _role(name: str, labels: JSON, rules: list[JSON], account: str) -> list[JSON]:
    return [
        manifest(_RBAC, "Role", name, labels, rules=rules),
        manifest(_RBAC, "RoleBinding", name, labels, **_bound("Role", name, account)),
    ]


def _bound(kind: str, role: str, account: str) -> JSON:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }
