"""Updates: what may not change. The words were recorded on Kubernetes 1.34.4."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import schema
from meshdojo.kubernetes.resources import Catalogue

CATALOGUE = Catalogue.builtin()


def stored(name: str, obj: dict[str, Any]) -> dict[str, Any]:
    resource = CATALOGUE.by_name(name)
    assert resource is not None
    decoded, _ = schema.decode(resource, obj, field_validation="Strict")
    filled = schema.apply_defaults(resource, decoded)
    schema.validate(resource, filled, None)
    return filled


def causes(name: str, new: dict[str, Any], old: dict[str, Any]) -> list[tuple[str, str]]:
    resource = CATALOGUE.by_name(name)
    assert resource is not None
    try:
        schema.validate(resource, new, old)
    except StatusError as error:
        return [(cause["field"], cause["message"]) for cause in (error.details or {})["causes"]]
    return []


CONTAINERS = [{"name": "a", "image": "b"}]
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}
DEPLOYMENT = stored(
    "deployments.apps",
    {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}},
)
STATEFUL_SET = stored(
    "statefulsets.apps",
    {"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}},
)
POD = stored("pods", {"metadata": {"name": "a"}, "spec": {"containers": CONTAINERS, "nodeName": "n"}})
SERVICE = stored("services", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.1"}})


def changed(obj: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    target = result
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = to
    return result


def test_selector_of_a_deployment() -> None:
    new = changed(DEPLOYMENT, "spec", "selector", to={"matchLabels": {"a": "b", "c": "d"}})
    new["spec"]["template"]["metadata"]["labels"]["c"] = "d"
    words = 'Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable'
    assert causes("deployments.apps", new, DEPLOYMENT) == [("spec.selector", words)]


def test_most_of_a_stateful_set_is_fixed() -> None:
    words = (
        "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
        "forbidden"
    )
    for field, value in {"serviceName": "x", "podManagementPolicy": "Parallel"}.items():
        assert causes("statefulsets.apps", changed(STATEFUL_SET, "spec", field, to=value), STATEFUL_SET) == [
            ("spec", words)
        ]
    free: dict[str, Any] = {"replicas": 7, "minReadySeconds": 1, "updateStrategy": {"type": "OnDelete"}}
    for field, to in free.items():
        assert causes("statefulsets.apps", changed(STATEFUL_SET, "spec", field, to=to), STATEFUL_SET) == []


def test_image_of_a_pod_may_change() -> None:
    assert causes("pods", changed(POD, "spec", "containers", 0, "image", to="c"), POD) == []


def test_toleration_may_be_added_to_a_pod() -> None:
    assert causes("pods", changed(POD, "spec", "tolerations", to=[{"operator": "Exists"}]), POD) == []


def test_a_pod_may_be_bound_once() -> None:
    unbound = copy.deepcopy(POD)
    del unbound["spec"]["nodeName"]
    assert causes("pods", POD, unbound) == []
    [(field, words)] = causes("pods", changed(POD, "spec", "nodeName", to="other"), POD)
    assert field == "spec"
    assert words.startswith("Forbidden: pod updates may not change fields other than `spec.containers[*].image`,")
    assert '- "nodeName": "n",\n+ "nodeName": "other",' in words


def test_containers_of_a_pod() -> None:
    new = changed(POD, "spec", "containers", to=[*POD["spec"]["containers"], *POD["spec"]["containers"]])
    new["spec"]["containers"][1] = {**new["spec"]["containers"][1], "name": "z"}
    words = "Forbidden: pod updates may not add or remove containers"
    assert causes("pods", new, POD) == [("spec.containers", words)]


def test_cluster_ip() -> None:
    words = 'Invalid value: ["10.96.0.77"]: may not change once set'
    new = changed(SERVICE, "spec", "clusterIP", to="10.96.0.77")
    assert causes("services", new, SERVICE) == [("spec.clusterIPs[0]", words)]


def test_immutable_config_map() -> None:
    old = stored("configmaps", {"metadata": {"name": "a"}, "immutable": True, "data": {"a": "b"}})
    new = {"metadata": {"name": "a"}, "data": {"a": "c"}}
    words = "Forbidden: field is immutable when `immutable` is set"
    assert causes("configmaps", new, old) == [("immutable", words), ("data", words)]


def test_type_of_a_secret() -> None:
    old = stored("secrets", {"metadata": {"name": "a"}})
    new = changed(old, "type", to="other")
    assert causes("secrets", new, old) == [("type", 'Invalid value: "other": field is immutable')]


def test_role_of_a_binding() -> None:
    name = "rolebindings.rbac.authorization.k8s.io"
    old = stored(name, {"metadata": {"name": "a"}, "roleRef": {"kind": "Role", "name": "x"}})
    new = changed(old, "roleRef", "name", to="y")
    shown = '{"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"y"}'
    assert causes(name, new, old) == [("roleRef", f"Invalid value: {shown}: cannot change roleRef")]


def test_finalizers_of_an_object_that_is_being_deleted() -> None:
    old = changed(DEPLOYMENT, "metadata", "deletionTimestamp", to="2026-01-01T00:00:00Z")
    new = changed(old, "metadata", "finalizers", to=["a/b"])
    words = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
    assert causes("deployments.apps", new, old) == [("metadata.finalizers", words + '[]string{"a/b"}')]


@pytest.mark.parametrize(
    ("finalizer", "words"),
    [
        ("x", ["name is neither a standard finalizer name nor is it fully qualified"]),
        ("foregroundDeletion", []),
        ("example.com/x", []),
    ],
)
def test_finalizer_names(finalizer: str, words: list[str]) -> None:
    new = changed(DEPLOYMENT, "metadata", "finalizers", to=[finalizer])
    assert [message.rpartition(": ")[2] for _, message in causes("deployments.apps", new, DEPLOYMENT)] == words


def test_the_order_of_a_pods_causes() -> None:
    spec = {
        "dnsPolicy": "x",
        "restartPolicy": "Sometimes",
        "containers": [{"name": "A_", "image": " b", "volumeMounts": [{"name": "nope", "mountPath": "/x"}]}],
        "volumes": [{"name": "W_", "emptyDir": {}}],
    }
    resource = CATALOGUE.by_name("pods")
    assert resource is not None
    pod = schema.apply_defaults(resource, {"metadata": {"name": "a"}, "spec": spec})
    assert [field for field, _ in causes("pods", pod, pod)] == [
        "spec.volumes[0].name",
        "spec.containers[0].name",
        "spec.containers[0].volumeMounts[0].name",
        "spec.restartPolicy",
        "spec.dnsPolicy",
        "spec.containers[0].image",
    ]


def test_reviews_need_no_name() -> None:
    assert causes("selfsubjectaccessreviews.authorization.k8s.io", {"spec": {}}, {"spec": {}}) == []
