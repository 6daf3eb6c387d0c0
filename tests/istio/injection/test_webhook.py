from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest

from meshdojo.istio.injection.config import BadConfig, InjectionConfig
from meshdojo.istio.injection.inject import inject
from meshdojo.istio.injection.webhook import review

JSON = dict[str, Any]


def request(pod: JSON) -> JSON:
    return {"request": {"uid": "42", "namespace": "shop", "object": pod}}


def test_the_patch_makes_the_injected_pod(pod: JSON, config: InjectionConfig) -> None:
    answer = review(request(pod), config)
    response = answer["response"]
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert (response["uid"], response["allowed"], response["patchType"]) == ("42", True, "JSONPatch")
    operations = json.loads(base64.b64decode(response["patch"]))
    assert jsonpatch.apply_patch(pod, operations) == inject(pod, "shop", config)


def test_a_pod_that_is_left_alone(pod: JSON, config: InjectionConfig) -> None:
    pod["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
    assert review(request(pod), config)["response"] == {"uid": "42", "allowed": True}


def test_a_pod_without_metadata(config: InjectionConfig) -> None:
    pod = {"spec": {"containers": [{"name": "a", "image": "b"}]}}
    operations = json.loads(base64.b64decode(review(request(pod), config)["response"]["patch"]))
    assert jsonpatch.apply_patch(pod, operations)["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"


def test_a_pod_that_cannot_be_injected_is_refused(pod: JSON, config: InjectionConfig) -> None:
    pod["metadata"]["annotations"] = {"inject.istio.io/templates": "nonsense"}
    response = review(request(pod), config)["response"]
    assert response["allowed"] is False
    assert 'requested template "nonsense" not found' in response["status"]["message"]


def test_warnings_travel_along(pod: JSON, config: InjectionConfig) -> None:
    pod["metadata"]["annotations"] = {"sidecar.istio.io/interceptionMode": "TPROXY"}
    (warning,) = review(request(pod), config)["response"]["warnings"]
    assert "has no effect" in warning


@pytest.mark.parametrize(("key", "text"), [("values", "{"), ("config", "[1]"), ("values", "nonsense")])
def test_a_broken_config_map_is_named(key: str, text: str) -> None:
    with pytest.raises(BadConfig, match=f"ConfigMap istio-sidecar-injector, key {key}: "):
        InjectionConfig.load({key: text})
