"""What is nowhere stored: API services and component statuses. Words and columns are those of a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.kubernetes.conftest import Kubectl

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
COMPONENTS = "/api/v1/componentstatuses"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def definition() -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": "v2beta1", "served": True, "storage": True, "schema": schema}]
    names = {"plural": "views", "kind": "View"}
    spec = {"group": "views.test", "scope": "Cluster", "names": names, "versions": versions}
    return {"metadata": {"name": "views.views.test"}, "spec": spec}


def names(http: httpx.Client, **query: str) -> list[str]:
    return [one["metadata"]["name"] for one in http.get(SERVICES, params=query).json()["items"]]


def test_there_is_an_api_service_for_each_group_version(http: httpx.Client) -> None:
    groups = http.get("/apis").json()["groups"]
    served = {f"{one['version']}.{group['name']}" for group in groups for one in group["versions"]}
    assert set(names(http)) == served | {"v1."}
    assert names(http) == sorted(names(http))


def test_an_api_service_is_local_and_available(http: httpx.Client) -> None:
    service = http.get(f"{SERVICES}/v1.apps").json()
    assert (service["kind"], service["apiVersion"]) == ("APIService", "apiregistration.k8s.io/v1")
    assert service["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert service["spec"] == {"group": "apps", "groupPriorityMinimum": 17800, "version": "v1", "versionPriority": 15}
    [condition] = service["status"]["conditions"]
    del condition["lastTransitionTime"]
    assert condition == {
        "type": "Available",
        "status": "True",
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    assert http.get(f"{SERVICES}/v1.apps").json()["metadata"] == service["metadata"]


def test_the_core_group_has_no_name(http: httpx.Client) -> None:
    spec = http.get(f"{SERVICES}/v1.").json()["spec"]
    assert spec == {"groupPriorityMinimum": 18000, "version": "v1", "versionPriority": 1}


def test_they_come_and_go_with_definitions(http: httpx.Client) -> None:
    made = http.post(CRDS, json=definition()).json()
    service = http.get(f"{SERVICES}/v2beta1.views.test").json()
    assert service["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert service["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (service["spec"]["groupPriorityMinimum"], service["spec"]["versionPriority"]) == (1000, 100)
    selector = "kube-aggregator.kubernetes.io/automanaged=true"
    assert names(http, labelSelector=selector) == ["v2beta1.views.test"]

    http.delete(f"{CRDS}/views.views.test").raise_for_status()

    missing = http.get(f"{SERVICES}/v2beta1.views.test")
    assert missing.status_code == 404
    assert missing.json()["message"] == 'apiservices.apiregistration.k8s.io "v2beta1.views.test" not found'


def test_components_are_healthy_and_deprecated(http: httpx.Client) -> None:
    answer = http.get(COMPONENTS)
    assert answer.headers["warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    assert [one["metadata"]["name"] for one in answer.json()["items"]] == ["controller-manager", "etcd-0", "scheduler"]
    assert http.get(f"{COMPONENTS}/scheduler").json() == {
        "apiVersion": "v1",
        "kind": "ComponentStatus",
        "metadata": {"name": "scheduler"},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
    }
    assert http.get(f"{COMPONENTS}/nosuch").json()["message"] == 'componentstatus "nosuch" not found'


def test_tables(http: httpx.Client) -> None:
    services, components = (http.get(path, headers=TABLE).json() for path in (SERVICES, COMPONENTS))
    assert [one["name"] for one in services["columnDefinitions"]] == ["Name", "Service", "Available", "Age"]
    assert services["rows"][0]["cells"][:3] == ["v1.", "Local", "True"]
    assert [one["name"] for one in components["columnDefinitions"]] == ["Name", "Status", "Message", "Error"]
    assert components["rows"][0]["cells"] == ["controller-manager", "Healthy", "ok", ""]


@pytest.mark.parametrize("path", [f"{SERVICES}/v1.apps", f"{COMPONENTS}/scheduler"])
def test_they_can_only_be_read(http: httpx.Client, path: str) -> None:
    collection = path.rpartition("/")[0]
    for method, where in (
        ("DELETE", path),
        ("PUT", path),
        ("PATCH", path),
        ("POST", collection),
        ("DELETE", collection),
    ):
        refused = http.request(method, where, json={})
        assert refused.status_code == 405
        assert refused.json()["message"] == "the server does not allow this method on the requested resource"
    watched = http.get(collection, params={"watch": "1"})
    assert watched.status_code == 405
    plural = collection.rpartition("/")[2]
    assert watched.json()["message"] == f'watch is not supported on resources of kind "{plural}"'


def test_kubectl_finds_them(kubectl: Kubectl) -> None:
    assert "v1.apps" in kubectl("get", "apiservices").out
    components = kubectl("get", "cs")
    assert components.out.split()[:4] == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    assert "Warning: v1 ComponentStatus is deprecated in v1.19+" in components.err
