"""Which namespaces and pods the webhooks are asked about: the table that a real cluster follows."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.install import webhooks
from meshdojo.istio.install.options import load

JSON = dict[str, Any]
NEVER = {"istio.io/deactivated": "never-match"}


def fits(selector: JSON, labels: dict[str, str]) -> bool:
    """A LabelSelector, as the API server evaluates it."""
    results = [labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", ()):
        value = labels.get(one["key"])
        results.append(
            {
                "In": value in one.get("values", ()),
                "NotIn": value not in one.get("values", ()),
                "DoesNotExist": value is None,
            }[one["operator"]]
        )
    return all(results)


def asked(namespace: dict[str, str], pod: dict[str, str], *settings: str) -> list[str]:
    """The webhooks that are asked about a pod, by configuration."""
    return [
        f"{one['metadata']['name']}/{webhook['name'].split('.sidecar')[0]}"
        for one in webhooks.manifests(load(settings))
        if one["kind"] == "MutatingWebhookConfiguration"
        for webhook in one["webhooks"]
        if fits(webhook["namespaceSelector"], namespace) and fits(webhook["objectSelector"], pod)
    ]


TAG = webhooks.DEFAULT_TAG
ON, OFF = {"istio-injection": "enabled"}, {"istio-injection": "disabled"}
YES, NO = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize(
    ("namespace", "pod", "expected"),
    [
        ({}, {}, []),
        (ON, {}, [f"{TAG}/namespace"]),
        (ON, NO, []),
        (OFF, {}, []),
        (OFF, YES, []),
        ({}, YES, [f"{TAG}/object"]),
        ({"istio.io/rev": "default"}, {}, [f"{TAG}/rev.namespace"]),
        ({"istio.io/rev": "unknown"}, {}, []),
        ({"istio.io/rev": "unknown", **ON}, {}, [f"{TAG}/namespace"]),
        ({"istio.io/rev": "default", **OFF}, {}, []),
        ({}, {"istio.io/rev": "default"}, [f"{TAG}/rev.object"]),
    ],
)
def test_the_default_installation(namespace: dict[str, str], pod: dict[str, str], expected: list[str]) -> None:
    assert asked(namespace, pod) == expected


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [(ON, []), ({"istio.io/rev": "canary"}, ["istio-sidecar-injector-canary/rev.namespace"])],
)
def test_a_revision_is_asked_by_its_name_only(namespace: dict[str, str], expected: list[str]) -> None:
    assert asked(namespace, {}, "revision=canary") == expected


def test_namespaces_by_default() -> None:
    setting = "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"
    assert asked({"kubernetes.io/metadata.name": "shop"}, {}, setting) == [f"{TAG}/auto"]
    assert asked({"kubernetes.io/metadata.name": "kube-system"}, {}, setting) == []
    assert asked({"kubernetes.io/metadata.name": "shop", **OFF}, {}, setting) == []


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({}, ["validation.istio.io"]), ({"istio.io/rev": "default"}, ["rev.validation.istio.io"])],
)
def test_one_validator_is_asked_about_an_object(labels: dict[str, str], expected: list[str]) -> None:
    found = [
        webhook["name"]
        for one in webhooks.manifests(load())
        if one["kind"] == "ValidatingWebhookConfiguration"
        for webhook in one["webhooks"]
        if fits(webhook["objectSelector"], labels)
    ]
    assert found == expected
