"""What is said before control planes are removed: istioctl's words (preCheckWarnings in its uninstall.go)."""

from __future__ import annotations

from meshdojo.istio.install.uninstall import Found
from meshdojo.istio.istioctl.uninstall import warnings


def deployment(name: str) -> Found:
    metadata = {"name": name, "namespace": "istio-system"}
    return Found("deployments.apps", "apps/v1, Kind=Deployment", {"metadata": metadata})


def test_an_object_in_words() -> None:
    assert str(deployment("istiod")) == "apps/v1, Kind=Deployment/istiod.istio-system"
    kind = "admissionregistration.k8s.io/v1, Kind=MutatingWebhookConfiguration"
    assert str(Found("x", kind, {"metadata": {"name": "a"}})) == f"{kind}/a."


def test_a_control_plane_that_nobody_needs() -> None:
    assert warnings([deployment("istiod")], [], "default") == ""


def test_proxies_that_would_be_left_alone() -> None:
    said = warnings([deployment("istiod")], ["a.b", "c.d"], "canary")
    assert said.startswith("There are still 2 proxies pointing to the control plane revision canary\na.b\nc.d\nIf you ")
    assert said.endswith("will not function correctly.\n")
    many = warnings([], [f"{number}.b" for number in range(31)], "canary")
    assert many.startswith("There are still 31 proxies pointing to the control plane revision canary\nIf you ")


def test_gateways_that_would_go_too() -> None:
    said = warnings([deployment("istiod"), deployment("istio-ingressgateway")], [], "default")
    assert said.startswith("You are about to remove the following gateways: istio-ingressgateway. To avoid downtime")
