"""Decoding built-in kinds. The messages were recorded on Kubernetes 1.34.4."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import schema
from meshdojo.kubernetes.resources import Catalogue, Resource

CATALOGUE = Catalogue.builtin()


def resource(name: str) -> Resource:
    found = CATALOGUE.by_name(name)
    assert found is not None
    return found


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "a", "image": "b", **(container or {})}]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": {"containers": containers, **spec}}


def refusal(obj: Any, name: str = "pods") -> str:
    with pytest.raises(StatusError) as error:
        schema.decode(resource(name), obj, field_validation="Strict")
    assert (error.value.code, error.value.reason) == (400, "BadRequest")
    prefix, _, words = error.value.message.partition(": ")
    kind = resource(name).kind
    assert prefix == f'{kind} in version "v1" cannot be handled as a {kind}'
    return words


QUANTITIES = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (
            pod({"ports": [{"containerPort": "80"}]}),
            "json: cannot unmarshal string into Go struct field "
            "ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            pod({"ports": [{"containerPort": 80.5}]}),
            "json: cannot unmarshal number 80.5 into Go struct field "
            "ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            pod({"image": True}),
            "json: cannot unmarshal bool into Go struct field Container.spec.containers.image of type string",
        ),
        (
            pod() | {"spec": {"containers": {"name": "x"}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            pod() | {"spec": [1]},
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            pod() | {"spec": {"containers": ["x"]}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            pod() | {"metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (pod({"resources": {"limits": {"cpu": "1x"}}}), QUANTITIES),
        (pod({"resources": {"limits": {"cpu": [1]}}}), QUANTITIES),
        (
            pod() | {"metadata": {"creationTimestamp": "yesterday"}},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (
            pod() | {"metadata": {"creationTimestamp": 5}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            # A value with a decoder of its own is reported before an earlier wrong type.
            pod({"ports": [{"containerPort": 99999999999}], "livenessProbe": {"httpGet": {"port": True}}}),
            "json: cannot unmarshal bool into Go struct field "
            "HTTPGetAction.spec.containers.livenessProbe.httpGet.port of type int32",
        ),
        (
            # The first of several; unknown fields do not count before types are right.
            pod({"resources": {"cpu": 1}}, hostNetwork="yes", foo=1),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
    ],
)
def test_wrong_types(obj: dict[str, Any], words: str) -> None:
    assert refusal(obj) == words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"x": "n!"}, "illegal base64 data at input byte 1"),
        ({"x": 1}, "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
    ],
)
def test_bytes_are_base64(data: dict[str, Any], words: str) -> None:
    assert refusal({"kind": "Secret", "apiVersion": "v1", "metadata": {}, "data": data}, "secrets") == words


def test_what_is_no_object_is_refused() -> None:
    assert refusal([1]) == "json: cannot unmarshal array into Go value of type v1.Pod"


UNKNOWN = pod({"zip": 1, "resources": {"cpu": 1}}) | {"metadata": {"name": "a", "foo": "x"}, "bar": 1}
FOUND = ['"spec.containers[0].zip"', '"spec.containers[0].resources.cpu"', '"metadata.foo"', '"bar"']


def test_strict_refuses_unknown_fields_in_the_order_of_the_object() -> None:
    ordered = {name: UNKNOWN[name] for name in ("kind", "apiVersion", "spec", "metadata", "bar")}
    assert refusal(ordered) == "strict decoding error: " + ", ".join(f"unknown field {path}" for path in FOUND)


def test_warn_drops_unknown_fields_and_says_so() -> None:
    decoded, warnings = schema.decode(resource("pods"), UNKNOWN, field_validation="Warn")
    assert sorted(warnings) == sorted(f"unknown field {path}" for path in FOUND)
    assert "bar" not in decoded
    assert decoded["spec"]["containers"] == [{"name": "a", "image": "b", "resources": {}}]


def test_ignore_drops_them_in_silence() -> None:
    decoded, warnings = schema.decode(resource("pods"), UNKNOWN, field_validation="Ignore")
    assert warnings == []
    assert decoded["metadata"] == {"name": "a"}


def test_the_given_object_is_not_changed() -> None:
    given = pod({"resources": {"limits": {"cpu": "1000m"}}}, volumes=None)
    decoded, _ = schema.decode(resource("pods"), given, field_validation="Strict")
    assert decoded["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert given["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1000m"}}
    assert given["spec"]["volumes"] is None


def test_zero_values_that_are_no_pointers_are_left_out() -> None:
    given = pod(
        {"stdin": False, "env": [{"name": "A", "value": ""}], "volumeMounts": [], "lifecycle": {}},
        hostNetwork=False,
        automountServiceAccountToken=False,
        terminationGracePeriodSeconds=0,
    )
    decoded, _ = schema.decode(resource("pods"), given, field_validation="Strict")
    assert decoded["spec"] == {
        "containers": [{"name": "a", "image": "b", "env": [{"name": "A"}], "lifecycle": {}}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }


def test_null_in_a_map_is_the_zero_value() -> None:
    given = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"annotations": None}, "data": {"x": None, "y": ""}}
    decoded, _ = schema.decode(resource("configmaps"), given, field_validation="Strict")
    assert decoded == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}, "data": {"x": "", "y": ""}}


def test_replicas_zero_is_kept() -> None:
    given = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {}, "spec": {"replicas": 0, "paused": False}}
    decoded, _ = schema.decode(resource("deployments.apps"), given, field_validation="Strict")
    assert decoded["spec"] == {"replicas": 0}
