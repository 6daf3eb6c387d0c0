"""IST0139 with the real words (recorded on a cluster whose namespace istio-system was deleted)."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.analysis.analyzers import analyze
from meshdojo.istio.analysis.webhooks import selects
from meshdojo.istio.analysis.world import World
from meshdojo.istio.install import webhooks
from meshdojo.istio.install.options import load

JSON = dict[str, Any]
ISTIOD = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "istio-system"}}
CANARY = {**ISTIOD, "metadata": {"name": "istiod-canary", "namespace": "istio-system"}}


def found(*objects: JSON) -> list[str]:
    return [str(one) for one in analyze(World.of(objects)) if one.code == "IST0139"]


def test_an_installation_is_well() -> None:
    assert found(ISTIOD, *webhooks.manifests(load())) == []
    assert found(ISTIOD, CANARY, *webhooks.manifests(load()), *webhooks.manifests(load(["revision=canary"]))) == []
    assert found(ISTIOD, *webhooks.charted(load())) == []


def test_what_is_left_of_one_whose_namespace_was_deleted() -> None:
    text = "Injector refers to a control plane service that does not exist: istio-system/istiod."
    assert found(*webhooks.manifests(load())) == [
        f"Error [IST0139] (MutatingWebhookConfiguration {name}) {text}"
        for name in ("istio-revision-tag-default", "istio-sidecar-injector")
    ]


def test_two_that_are_asked_about_the_same_pod() -> None:
    mine = {**webhooks.charted(load())[0], "metadata": {"name": "mine", "labels": {}}}
    said = found(ISTIOD, *webhooks.manifests(load()), mine)
    assert any("mine" in line and "This may cause injection to occur twice." in line for line in said)


def test_files_alone_say_nothing_of_the_cluster() -> None:
    assert not [one for one in analyze(World.of((), complete=False)) if one.code == "IST0139"]


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {"a": "b"}, True),
        ({}, {}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b"}, True),
        ({"matchLabels": {"a": "b"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "c"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_selectors(selector: JSON | None, labels: dict[str, str], expected: bool) -> None:
    assert selects(selector, labels) is expected
