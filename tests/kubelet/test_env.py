"""Environment variables of containers."""

from __future__ import annotations

import asyncio
import base64

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.env import ConfigError, environment, expand, field_value, resource_value, service_links

POD: Object = {
    "metadata": {
        "name": "web-1",
        "namespace": "default",
        "uid": "u-1",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "hi"},
    },
    "spec": {
        "nodeName": "meshdojo",
        "containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}}}],
    },
}
FACTS = {"podIP": "127.64.1.0", "hostIP": "127.64.0.1"}
OBJECTS = {
    ("configmaps", "cm"): {"kind": "ConfigMap", "data": {"a": "1", "B_C": "two"}},
    ("secrets", "sec"): {"kind": "Secret", "data": {"password": base64.b64encode(b"s3cret").decode()}},
}


async def fetch(resource: str, namespace: str, name: str) -> Object | None:
    return OBJECTS.get((resource, name))


def variables(container: Object, base: dict[str, str] | None = None) -> dict[str, str]:
    full = {**POD["spec"]["containers"][0], **container}
    return asyncio.run(environment(POD, full, base or {}, fetch, FACTS))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)", "1"), ("x$(A)y$(A)", "x1y1"), ("$(NO)", "$(NO)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("", "")],
)
def test_references_are_expanded(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_later_sources_win_and_see_earlier_ones() -> None:
    found = variables(
        {
            "envFrom": [{"configMapRef": {"name": "cm"}}, {"prefix": "S_", "secretRef": {"name": "sec"}}],
            "env": [{"name": "a", "value": "own"}, {"name": "b", "value": "$(a)-$(S_password)-$(BASE)"}],
        },
        {"BASE": "base"},
    )
    assert found == {"BASE": "base", "a": "own", "B_C": "two", "S_password": "s3cret", "b": "own-s3cret-base"}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"configMapKeyRef": {"name": "cm", "key": "a"}}, "1"),
        ({"secretKeyRef": {"name": "sec", "key": "password"}}, "s3cret"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['note']"}}, "hi"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "127.64.1.0"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "default"),
        ({"resourceFieldRef": {"resource": "limits.memory"}}, str(64 * 2**20)),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "64"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "0"),
    ],
)
def test_values_from(source: Object, value: str) -> None:
    assert variables({"env": [{"name": "X", "valueFrom": source}]}) == {"X": value}


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        ({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no"}}}]},
            "couldn't find key no in ConfigMap default/cm",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.no"}}}]},
            'unsupported fieldPath: "spec.no"',
        ),
    ],
)
def test_what_is_missing_is_named_in_the_kubelets_words(container: Object, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        variables(container)
    assert str(raised.value) == words


def test_optional_references_may_be_missing() -> None:
    optional = {"name": "no", "key": "no", "optional": True}
    assert (
        variables(
            {
                "envFrom": [{"configMapRef": {"name": "no", "optional": True}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": optional}}],
            }
        )
        == {}
    )


def test_labels_as_a_file() -> None:
    assert field_value(POD, "metadata.labels", FACTS) == 'app="web"\ntier="a\\"b"'


def test_service_links() -> None:
    def service(namespace: str, name: str, ip: str, *ports: Object) -> Object:
        return {"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterIP": ip, "ports": list(ports)}}

    services = [
        service("default", "kubernetes", "127.200.0.1", {"name": "https", "port": 443}),
        service("fleet", "api-gateway", "127.200.0.7", {"name": "http", "port": 80, "protocol": "TCP"}),
        service("fleet", "none", "None", {"port": 80}),
        service("other", "web", "127.200.0.8", {"port": 80}),
    ]
    assert set(service_links(services, "fleet", False)) == {
        "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_PORT",
        "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
        "KUBERNETES_PORT_443_TCP_ADDR",
    }  # fmt: skip
    links = service_links(services, "fleet", True)
    assert links["API_GATEWAY_SERVICE_HOST"] == "127.200.0.7"
    assert links["API_GATEWAY_PORT"] == "tcp://127.200.0.7:80"
    assert not any(name.startswith(("WEB_", "NONE_")) for name in links)


@pytest.mark.parametrize("milli", [100, 300, 700, 1100])
def test_a_limit_is_divided_exactly(milli: int) -> None:
    container = {"name": "app", "resources": {"limits": {"cpu": f"{milli}m"}}}
    reference = {"resource": "limits.cpu", "divisor": "1m"}
    assert resource_value({"spec": {"containers": [container]}}, container, reference) == str(milli)
