from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from meshdojo.istio.install.manifests import components, manifests
from meshdojo.istio.install.options import load

JSON = dict[str, Any]


def installed(*settings: str) -> dict[tuple[str, str], JSON]:
    made = manifests(load(settings))
    found = {(one["kind"], one["metadata"]["name"]): one for one in made}
    assert len(found) == len(made)
    return found


def test_in_the_order_in_which_the_real_one_prints_them() -> None:
    kinds = [one["kind"] for one in manifests(load(["profile=demo"]))]
    assert list(dict.fromkeys(kinds)) == [
        "CustomResourceDefinition",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingWebhookConfiguration",
        "ConfigMap",
        "MutatingWebhookConfiguration",
        "Deployment",
        "Role",
        "RoleBinding",
        "Service",
    ]


def test_the_default_tag_is_made_by_the_installation_alone() -> None:
    tagged = {"istio-revision-tag-default", "istiod-default-validator", "istiod-revision-tag-default"}
    options = load()
    assert not tagged & {one["metadata"]["name"] for one in manifests(options)}
    applied = {one["metadata"]["name"] for part in components(options) for one in part.manifests}
    assert tagged <= applied


def names(objects: dict[tuple[str, str], JSON], kind: str) -> list[str]:
    return sorted(name for found, name in objects if found == kind)


@pytest.mark.parametrize(
    ("profile", "deployments"),
    [
        ("demo", ["istio-egressgateway", "istio-ingressgateway", "istiod"]),
        ("default", ["istio-ingressgateway", "istiod"]),
        ("minimal", ["istiod"]),
        ("empty", []),
    ],
)
def test_profiles(profile: str, deployments: list[str]) -> None:
    objects = installed(f"profile={profile}")
    assert names(objects, "Deployment") == deployments
    assert len(names(objects, "CustomResourceDefinition")) == (15 if deployments else 0)


def test_the_services_of_the_demo_profile() -> None:
    objects = installed("profile=demo")
    ingress = objects["Service", "istio-ingressgateway"]["spec"]
    assert [(port["name"], port["port"], port["targetPort"]) for port in ingress["ports"]] == [
        ("status-port", 15021, 15021),
        ("http2", 80, 8080),
        ("https", 443, 8443),
        ("tcp", 31400, 31400),
        ("tls", 15443, 15443),
    ]
    assert ingress["type"] == "LoadBalancer"
    assert ingress["selector"] == {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    assert objects["Service", "istio-egressgateway"]["spec"]["type"] == "ClusterIP"
    ports = {port["name"]: port for port in objects["Service", "istiod"]["spec"]["ports"]}
    assert ports["https-webhook"]["targetPort"] == 15017


@pytest.mark.parametrize("revision", ["", "canary"])
def test_services_select_the_pods_that_are_made(revision: str) -> None:
    objects = installed("profile=demo", *([f"revision={revision}"] if revision else []))
    for kind, name in objects:
        if kind != "Service":
            continue
        selector = objects[kind, name]["spec"]["selector"]
        fitting = [
            one
            for (found, _), one in objects.items()
            if found == "Deployment" and selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(fitting) == 1, name
    for (kind, _), one in objects.items():
        if kind == "Deployment":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
            account = one["spec"]["template"]["spec"]["serviceAccountName"]
            assert ("ServiceAccount", account) in objects


def test_every_volume_that_is_mounted_is_there() -> None:
    for (kind, _), one in installed("profile=demo").items():
        if kind == "Deployment":
            spec = one["spec"]["template"]["spec"]
            for container in spec["containers"]:
                mounted = {mount["name"] for mount in container["volumeMounts"]}
                assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_mesh_config() -> None:
    settings = ("profile=demo", "meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY", "meshConfig.trustDomain=my.mesh")
    mesh = yaml.safe_load(installed(*settings)["ConfigMap", "istio"]["data"]["mesh"])
    assert mesh["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
    assert mesh["trustDomain"] == "my.mesh"
    assert mesh["accessLogFile"] == "/dev/stdout"
    assert mesh["rootNamespace"] == "istio-system"
    assert mesh["defaultConfig"]["discoveryAddress"] == "istiod.istio-system.svc:15012"


def test_what_the_injector_is_told() -> None:
    objects = installed("values.global.proxy.logLevel=debug", "values.global.proxy.autoInject=disabled")
    data = objects["ConfigMap", "istio-sidecar-injector"]["data"]
    assert json.loads(data["values"])["global"]["proxy"]["logLevel"] == "debug"
    assert yaml.safe_load(data["config"])["policy"] == "disabled"


def test_a_revision_has_its_own_names_and_no_default_tag() -> None:
    objects = installed("profile=demo", "revision=canary")
    assert ("Deployment", "istiod-canary") in objects
    assert names(objects, "MutatingWebhookConfiguration") == ["istio-sidecar-injector-canary"]
    assert names(objects, "ValidatingWebhookConfiguration") == ["istio-validator-canary-istio-system"]
    (container,) = objects["Deployment", "istiod-canary"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "REVISION", "value": "canary"} in container["env"]
    (proxy,) = objects["Deployment", "istio-ingressgateway"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "CA_ADDR", "value": "istiod-canary.istio-system.svc:15012"} in proxy["env"]


def test_options_of_components() -> None:
    objects = installed(
        "hub=example/istio",
        "tag=9",
        "values.pilot.env.PILOT_X=true",
        "components.pilot.k8s.replicaCount=2",
        "components.ingressGateways[0].k8s.replicaCount=3",
        "values.gateways.istio-ingressgateway.type=NodePort",
    )
    istiod = objects["Deployment", "istiod"]["spec"]
    (container,) = istiod["template"]["spec"]["containers"]
    assert container["image"] == "example/istio/pilot:9"
    assert {"name": "PILOT_X", "value": "true"} in container["env"]
    assert istiod["replicas"] == 2
    assert objects["Deployment", "istio-ingressgateway"]["spec"]["replicas"] == 3
    assert objects["Service", "istio-ingressgateway"]["spec"]["type"] == "NodePort"


def test_a_second_ingress_gateway_in_another_namespace() -> None:
    prefix = "components.ingressGateways[1]"
    objects = installed(f"{prefix}.name=inner", f"{prefix}.enabled=true", f"{prefix}.namespace=edge")
    assert objects["Deployment", "inner"]["metadata"]["namespace"] == "edge"
    assert objects["Service", "inner"]["spec"]["selector"]["app"] == "inner"


def test_components_in_istioctls_order() -> None:
    found = components(load(["profile=demo"]))
    assert [one.name for one in found] == ["Istio core", "Istiod", "Ingress gateways", "Egress gateways"]
    assert [one.deployments for one in found] == [
        [],
        [("istio-system", "istiod")],
        [("istio-system", "istio-ingressgateway")],
        [("istio-system", "istio-egressgateway")],
    ]
