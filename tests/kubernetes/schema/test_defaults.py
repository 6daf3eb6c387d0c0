"""Defaults, as a real API server fills them in."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from meshdojo.kubernetes import schema
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.schema.defaults.pods import image_pull_policy

CATALOGUE = Catalogue.builtin()


def filled(name: str, obj: dict[str, Any]) -> dict[str, Any]:
    resource = CATALOGUE.by_name(name)
    assert resource is not None
    before = copy.deepcopy(obj)
    result = schema.apply_defaults(resource, obj)
    assert obj == before, "the given object is shared"
    assert schema.apply_defaults(resource, result) == result
    return result


CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "Always",
}
POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}


def test_pod() -> None:
    pod = filled("pods", {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "x", "image": "y"}]}})
    containers = [{"name": "x", "image": "y", **CONTAINER}]
    assert pod["spec"] == {**POD_SPEC, "containers": containers, "enableServiceLinks": True}
    assert pod["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("web:1", "IfNotPresent"),
        ("host:5000/web", "Always"),
        ("host:5000/web:1", "IfNotPresent"),
        ("web@sha256:abc", "IfNotPresent"),
    ],
)
def test_image_pull_policy(image: str, policy: str) -> None:
    assert image_pull_policy(image) == policy


def test_deployment() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    deployment = filled("deployments.apps", {"metadata": {"name": "a"}, "spec": {"template": template}})
    assert deployment["spec"] == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {**POD_SPEC, "containers": [{"name": "a", "image": "b", **CONTAINER}]},
        },
    }
    assert deployment["status"] == {}


def test_probe() -> None:
    container = {"name": "a", "image": "b", "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1}}
    pod = filled("pods", {"metadata": {"name": "a"}, "spec": {"containers": [container]}})
    assert pod["spec"]["containers"][0]["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_a_limit_is_the_request_too() -> None:
    container = {"name": "a", "image": "b", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    container["resources"]["requests"] = {"cpu": "500m"}  # type: ignore[index]
    pod = filled("pods", {"metadata": {"name": "a"}, "spec": {"containers": [container]}})
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_volumes() -> None:
    volumes = [
        {"name": "empty"},
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {"name": "host", "hostPath": {"path": "/x"}},
    ]
    pod = filled("pods", {"metadata": {"name": "a"}, "spec": {"containers": [], "volumes": volumes}})
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    assert pod["spec"]["volumes"] == [
        {"name": "empty", "emptyDir": {}},
        {"name": "config", "configMap": {"name": "c", "defaultMode": 0o644}},
        {"name": "token", "projected": {"sources": [token], "defaultMode": 0o644}},
        {"name": "host", "hostPath": {"path": "/x", "type": ""}},
    ]


def test_service() -> None:
    service = filled("services", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    assert service["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert service["status"] == {"loadBalancer": {}}


def test_load_balancer() -> None:
    spec = filled("services", {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})["spec"]
    assert (spec["externalTrafficPolicy"], spec["allocateLoadBalancerNodePorts"]) == ("Cluster", True)


def test_external_name_has_no_addresses() -> None:
    spec = filled("services", {"metadata": {}, "spec": {"type": "ExternalName", "externalName": "a.b"}})["spec"]
    assert "ipFamilies" not in spec


def test_namespace() -> None:
    namespace = filled("namespaces", {"metadata": {"name": "a", "labels": {"istio-injection": "enabled"}}})
    assert namespace["metadata"]["labels"] == {"istio-injection": "enabled", "kubernetes.io/metadata.name": "a"}
    assert namespace["status"] == {"phase": "Active"}


def test_webhook() -> None:
    webhook = {"name": "a.b.c", "clientConfig": {"service": {"name": "x", "namespace": "y"}}, "rules": [{}]}
    configuration = filled("mutatingwebhookconfigurations.admissionregistration.k8s.io", {"webhooks": [webhook]})
    assert configuration["webhooks"] == [
        {
            "name": "a.b.c",
            "clientConfig": {"service": {"name": "x", "namespace": "y", "port": 443}},
            "rules": [{"scope": "*"}],
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "timeoutSeconds": 10,
            "namespaceSelector": {},
            "objectSelector": {},
            "reinvocationPolicy": "Never",
        }
    ]


def test_custom_resource_definition() -> None:
    spec = {"group": "x.y", "names": {"plural": "things", "kind": "Thing"}}
    crd = filled("customresourcedefinitions.apiextensions.k8s.io", {"metadata": {}, "spec": spec})
    assert crd["spec"]["names"] == {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    assert crd["spec"]["conversion"] == {"strategy": "None"}


def test_role_binding() -> None:
    binding = filled(
        "rolebindings.rbac.authorization.k8s.io",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
    )
    assert binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert binding["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"


def test_job_ties_its_pods_to_itself() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "b"}], "restartPolicy": "Never"}}
    job = filled("jobs.batch", {"metadata": {"name": "j", "uid": "u"}, "spec": {"template": template}})
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "controller-uid": "u",
        "batch.kubernetes.io/controller-uid": "u",
        "job-name": "j",
        "batch.kubernetes.io/job-name": "j",
    }
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (1, 1)
