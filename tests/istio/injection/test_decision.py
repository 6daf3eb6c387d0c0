"""Facts: what a real cluster injects (the pod's label beats its annotation, and so on)."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.injection.decision import INJECT, required

DISABLED = InjectionConfig(policy={"policy": "disabled", "alwaysInjectSelector": [{"matchLabels": {"mesh": "yes"}}]})
ENABLED = InjectionConfig(
    policy={"neverInjectSelector": [{"matchExpressions": [{"key": "job", "operator": "Exists"}]}, {}]}
)


def pod(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels or {}, "annotations": annotations or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "namespace", "expected"),
    [
        (pod(), "shop", True),
        (pod(hostNetwork=True), "shop", False),
        (pod({INJECT: "true"}), "kube-system", False),
        (pod({INJECT: "false"}), "shop", False),
        (pod({}, {INJECT: "false"}), "shop", False),
        (pod({INJECT: "true"}, {INJECT: "false"}), "shop", True),
        (pod({INJECT: "false"}, {INJECT: "true"}), "shop", False),
        (pod({INJECT: "Yes"}), "shop", True),
        (pod({INJECT: "maybe"}), "shop", False),
        (pod({"job": "x"}), "shop", False),
        (pod({"job": "x", INJECT: "true"}), "shop", True),
        (pod({}, {"sidecar.istio.io/status": "{}"}), "shop", False),
    ],
)
def test_when_the_policy_is_enabled(given: dict[str, Any], namespace: str, expected: bool) -> None:
    assert required(given, namespace, ENABLED) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(pod(), False), (pod({INJECT: "true"}), True), (pod({"mesh": "yes"}), True), (pod({}, {INJECT: "on"}), True)],
)
def test_when_the_policy_is_disabled(given: dict[str, Any], expected: bool) -> None:
    assert required(given, "shop", DISABLED) is expected
