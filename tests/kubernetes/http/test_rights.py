"""Rights over HTTP: of service accounts, and in somebody else's name."""

from __future__ import annotations

from typing import Any

import httpx


def test_over_http_a_service_account_has_the_rights_of_its_bindings(http: httpx.Client) -> None:
    accounts, pods = "/api/v1/namespaces/default/serviceaccounts", "/api/v1/namespaces/default/pods"
    http.post(accounts, json={"metadata": {"name": "robot"}})
    token = http.post(f"{accounts}/robot/token", json={}).json()["status"]["token"]
    robot = {"authorization": f"Bearer {token}"}
    refused = http.get(pods, headers=robot)
    assert (refused.status_code, refused.json()["reason"], refused.json()["details"]) == (
        403,
        "Forbidden",
        {"kind": "pods"},
    )
    assert refused.json()["message"] == (
        'pods is forbidden: User "system:serviceaccount:default:robot" cannot list resource "pods" in API group "" in '
        'the namespace "default"'
    )
    assert http.get("/metrics", headers=robot).json()["message"] == (
        'forbidden: User "system:serviceaccount:default:robot" cannot get path "/metrics"'
    )
    assert http.get("/api", headers=robot).status_code == 200
    rights = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    made = http.post(rights, json={"metadata": {"name": "robot"}, "roleRef": reference, "subjects": [subject]})
    assert made.status_code == 201
    assert http.get(pods, headers=robot).status_code == 200
    http.delete(f"{rights}/robot")
    assert http.get(pods, headers=robot).status_code == 403


def test_asking_in_the_name_of_somebody_else(http: httpx.Client) -> None:
    who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def names(**headers: str) -> Any:
        return http.post(who, json={}, headers={key.replace("_", "-"): value for key, value in headers.items()}).json()

    jane = names(impersonate_user="jane", impersonate_group="dev", impersonate_extra_scopes="view")
    assert jane["status"]["userInfo"] == {
        "username": "jane",
        "groups": ["dev", "system:authenticated"],
        "extra": {"scopes": ["view"]},
    }
    robot = names(impersonate_user="system:serviceaccount:default:robot")
    assert robot["status"]["userInfo"]["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    assert names(impersonate_group="dev")["code"] == 400
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    http.post(accounts, json={"metadata": {"name": "robot"}})
    token = http.post(f"{accounts}/robot/token", json={}).json()["status"]["token"]
    refused = names(authorization=f"Bearer {token}", impersonate_user="bob")
    assert refused["message"] == (
        'users "bob" is forbidden: User "system:serviceaccount:default:robot" cannot impersonate resource "users" in '
        'API group "" at the cluster scope'
    )
