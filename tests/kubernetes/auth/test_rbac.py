"""Roles and bindings: what they allow, who may give them, and in whose name one may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth.authorization import Access
from meshdojo.kubernetes.auth.rbac import allows, shown, uncovered
from meshdojo.kubernetes.bootstrap import bootstrap
from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.requests import Options, User

T = TypeVar("T")
Object = dict[str, Any]
JANE = User("jane", ("dev", "system:authenticated"))
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def role(api: Api, name: str, *rules: Object, user: User | None = None, cluster: bool = False) -> Object:
    resource = "clusterroles.rbac.authorization.k8s.io" if cluster else "roles.rbac.authorization.k8s.io"
    options = Options() if user is None else Options(user=user)
    obj = {"metadata": {"name": name}, "rules": list(rules)}
    return run(api.create(resource, obj, None if cluster else "default", options=options))


def binding(
    api: Api, name: str, reference: str, subject: Object, *, cluster: bool = False, user: User | None = None
) -> Object:
    kind, _, role_name = reference.partition("/")
    resource = "clusterrolebindings.rbac.authorization.k8s.io" if cluster else "rolebindings.rbac.authorization.k8s.io"
    obj = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role_name},
        "subjects": [subject],
    }
    options = Options() if user is None else Options(user=user)
    return run(api.create(resource, obj, None if cluster else "default", options=options))


def person(name: str) -> Object:
    return {"kind": "User", "name": name}


def may(api: Api, user: User, verb: str, resource: str, namespace: str = "default", **more: str) -> bool:
    return api.authorizer.authorize(Access(user, verb, resource=resource, namespace=namespace, **more)).allowed


@pytest.mark.parametrize(
    ("rule", "access", "allowed"),
    [
        (PODS, {"verb": "get", "resource": "pods"}, True),
        (PODS, {"verb": "delete", "resource": "pods"}, False),
        (PODS, {"verb": "get", "resource": "pods", "subresource": "log"}, False),
        (PODS, {"verb": "get", "resource": "pods", "group": "apps"}, False),
        ({**PODS, "resources": ["pods/log"]}, {"verb": "get", "resource": "pods", "subresource": "log"}, True),
        ({**PODS, "resources": ["*/log"]}, {"verb": "get", "resource": "pods", "subresource": "log"}, True),
        ({**PODS, "resources": ["*/log"]}, {"verb": "get", "resource": "pods"}, False),
        ({**PODS, "resources": ["*"]}, {"verb": "get", "resource": "pods", "subresource": "exec"}, True),
        ({**PODS, "resourceNames": ["a"]}, {"verb": "get", "resource": "pods", "name": "a"}, True),
        ({**PODS, "resourceNames": ["a"]}, {"verb": "get", "resource": "pods", "name": "b"}, False),
        ({**PODS, "resourceNames": ["a"]}, {"verb": "list", "resource": "pods"}, False),
        ({"verbs": ["get"], "nonResourceURLs": ["/api/*"]}, {"verb": "get", "path": "/api/v1"}, True),
        ({"verbs": ["get"], "nonResourceURLs": ["/api"]}, {"verb": "get", "path": "/api/v1"}, False),
        (PODS, {"verb": "get", "path": "/api"}, False),
        (
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verb": "fly", "group": "x", "resource": "y"},
            True,
        ),
    ],
)
def test_what_a_rule_covers(rule: Object, access: dict[str, str], allowed: bool) -> None:
    assert allows(rule, Access(JANE, **access)) is allowed


def test_rights_go_with_the_binding_and_the_reason_names_it(api: Api) -> None:
    assert not may(api, JANE, "list", "pods")
    role(api, "reader", PODS)
    binding(api, "jane-reads", "Role/reader", person("jane"))
    decision = api.authorizer.authorize(Access(JANE, "list", resource="pods", namespace="default"))
    assert decision.reason == 'RBAC: allowed by RoleBinding "jane-reads/default" of Role "reader" to User "jane"'
    assert not may(api, JANE, "list", "pods", "kube-system")
    assert not may(api, JANE, "list", "pods", "")
    run(api.delete("rolebindings.rbac.authorization.k8s.io", "jane-reads", "default"))
    assert not may(api, JANE, "list", "pods")


def test_groups_and_service_accounts_are_subjects_too(api: Api) -> None:
    robot = User("system:serviceaccount:default:robot", ("system:authenticated",))
    role(api, "all", PODS, cluster=True)
    binding(api, "devs", "ClusterRole/all", {"kind": "Group", "name": "dev"}, cluster=True)
    binding(api, "robots", "ClusterRole/all", {"kind": "ServiceAccount", "name": "robot", "namespace": "default"})
    assert may(api, JANE, "list", "pods", "")
    decision = api.authorizer.authorize(Access(robot, "get", resource="pods", namespace="default"))
    assert decision.reason.endswith('of ClusterRole "all" to ServiceAccount "robot/default"')
    assert not may(api, robot, "get", "pods", "kube-system")


def test_a_role_that_does_not_exist_is_said(api: Api) -> None:
    binding(api, "a", "Role/nosuch", person("jane"))
    denied = api.authorizer.authorize(Access(JANE, "list", resource="pods", namespace="default"))
    assert denied.reason == 'RBAC: role.rbac.authorization.k8s.io "nosuch" not found'
    binding(api, "b", "ClusterRole/nosuch", person("jane"), cluster=True)
    denied = api.authorizer.authorize(Access(JANE, "list", resource="pods", namespace="default"))
    assert denied.reason == (
        'RBAC: [clusterrole.rbac.authorization.k8s.io "nosuch" not found, '
        'role.rbac.authorization.k8s.io "nosuch" not found]'
    )


def test_what_is_not_covered_in_gos_syntax() -> None:
    owned = [PODS, {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["get"]}]
    wanted = [
        {"apiGroups": ["", "apps"], "resources": ["pods", "secrets"], "verbs": ["get", "delete"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    assert shown(uncovered(owned, wanted)) == [
        '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["a"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["b"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
        '{APIGroups:["apps"], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:["apps"], Resources:["secrets"], Verbs:["delete"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]
    assert uncovered([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], wanted[:2]) == []


def test_nobody_grants_more_than_they_have(api: Api) -> None:
    rbac = ["roles", "rolebindings"]
    writer = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": rbac, "verbs": ["get", "create", "update"]}
    role(api, "writer", writer, PODS)
    binding(api, "jane-writes", "Role/writer", person("jane"))
    role(api, "fine", PODS, user=JANE)
    with pytest.raises(StatusError) as raised:
        role(api, "more", {**PODS, "verbs": ["get", "delete"]}, user=JANE)
    assert (raised.value.code, raised.value.message) == (
        403,
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
    )
    role(api, "secrets", {**PODS, "resources": ["secrets"]})
    binding(api, "own", "Role/fine", person("bob"), user=JANE)
    with pytest.raises(StatusError, match=r'Resources:\["secrets"\], Verbs:\["get" "list"\]'):
        binding(api, "steal", "Role/secrets", person("jane"), user=JANE)
    with pytest.raises(StatusError, match=r'rolebindings\.rbac\.authorization\.k8s\.io "nosuch" not found'):
        binding(api, "none", "Role/nosuch", person("jane"), user=JANE)
    role(api, "binder", {**writer, "resources": ["roles"], "verbs": ["bind", "escalate"]})
    binding(api, "jane-binds", "Role/binder", person("jane"))
    binding(api, "allowed", "Role/secrets", person("jane"), user=JANE)
    role(api, "allowed", {**PODS, "verbs": ["*"]}, user=JANE)


def test_an_aggregated_role_needs_everything(api: Api) -> None:
    maker = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["create"]}
    role(api, "maker", maker, cluster=True)
    binding(api, "jane-makes", "ClusterRole/maker", person("jane"), cluster=True)
    obj = {"metadata": {"name": "sum"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    with pytest.raises(StatusError, match="must have cluster-admin privileges to use the aggregationRule"):
        run(api.create("clusterroles.rbac.authorization.k8s.io", obj, options=Options(user=JANE)))


def test_a_start_restores_the_roles_of_the_system_and_leaves_others_alone(api: Api) -> None:
    roles, bindings = "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"
    run(api.patch(roles, "system:basic-user", {"rules": []}))
    run(api.delete(bindings, "kubeadm:cluster-admins"))
    role(api, "mine", PODS, cluster=True)
    before = api.store.revision
    run(bootstrap(api, host="127.0.0.1", port=6443))
    assert run(api.get(roles, "system:basic-user"))["rules"]
    assert run(api.get(bindings, "kubeadm:cluster-admins"))["subjects"]
    assert run(api.get(roles, "mine"))["rules"] == [PODS]
    assert api.store.revision == before + 2


def test_the_rules_that_i_have(api: Api) -> None:
    role(api, "reader", PODS)
    binding(api, "jane-reads", "Role/reader", person("jane"))
    binding(api, "jane-nosuch", "Role/nosuch", person("jane"))
    review = {"spec": {"namespace": "default"}}
    name = "selfsubjectrulesreviews.authorization.k8s.io"
    status = run(api.create(name, review, options=Options(user=JANE)))["status"]
    assert PODS in status["resourceRules"]
    assert {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]} in status[
        "nonResourceRules"
    ]
    assert status["evaluationError"] == 'role.rbac.authorization.k8s.io "nosuch" not found'
    with pytest.raises(StatusError, match="no namespace on request"):
        run(api.create(name, {"spec": {}}, options=Options(user=JANE)))
