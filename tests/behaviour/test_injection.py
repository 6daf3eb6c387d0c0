"""Which pods get a sidecar: the labels of the namespace, those of the pod, and its annotation.

Asked by a dry run, which goes through the injection webhooks and leaves nothing behind but the namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.behaviour.world import World

from meshdojo.checks.pods import has_sidecar
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE

Labels = dict[str, str]
ENABLED, DISABLED = {"istio-injection": "enabled"}, {"istio-injection": "disabled"}
DEFAULT, UNKNOWN = {"istio.io/rev": "default"}, {"istio.io/rev": "nosuch"}
YES, NO = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}
NAMESPACES: dict[str, Labels] = {
    "nothing": {},
    "enabled": ENABLED,
    "disabled": DISABLED,
    "misspelt": {"istio-injection": "Enabled"},
    "default": DEFAULT,
    "unknown": UNKNOWN,
    "unknown-enabled": UNKNOWN | ENABLED,
    "default-disabled": DEFAULT | DISABLED,
}


def name(which: str) -> str:
    return f"behaviour-inject-{which}"


@pytest.fixture(scope="module")
def namespaces(shared: World) -> Iterator[None]:
    async def make(client: HTTPClient) -> None:
        for which, labels in NAMESPACES.items():
            metadata = {"name": name(which), "labels": {**labels, MANAGED_LABEL: MANAGED_VALUE}}
            await client.apply(
                [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}], field_manager="behaviour"
            )

    async def remove() -> None:
        await shared.backend.reset(*map(name, NAMESPACES))

    shared.run(make)
    yield
    shared.run(lambda _client: remove())


# (namespace, labels of the pod, its annotations, whether it gets a sidecar)
@pytest.mark.parametrize(
    ("namespace", "labels", "annotations", "injected"),
    [
        ("nothing", {}, {}, False),
        ("nothing", YES, {}, True),
        ("nothing", {}, YES, False),
        ("nothing", DEFAULT, {}, True),
        ("nothing", UNKNOWN, {}, False),
        ("nothing", YES | UNKNOWN, {}, False),
        ("enabled", {}, {}, True),
        ("enabled", NO, {}, False),
        ("enabled", NO, YES, False),
        ("enabled", {}, NO, False),
        ("enabled", YES, NO, True),
        ("enabled", UNKNOWN, {}, True),
        ("disabled", {}, {}, False),
        ("disabled", YES, {}, False),
        ("disabled", DEFAULT, {}, False),
        ("misspelt", {}, {}, False),
        ("default", {}, {}, True),
        ("default", NO, {}, False),
        ("default", UNKNOWN, {}, True),
        ("unknown", {}, {}, False),
        ("unknown", YES, {}, False),
        ("unknown", DEFAULT, {}, False),
        ("unknown-enabled", {}, {}, True),
        ("default-disabled", {}, {}, False),
    ],
)
def test_who_gets_a_sidecar(
    shared: World, namespaces: None, namespace: str, labels: Labels, annotations: Labels, injected: bool
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "question", "labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "meshdojo/client:1.0"}]},
    }
    made = shared.run(lambda client: client.create("pods", pod, name(namespace), dry_run=True))
    assert has_sidecar(made) is injected
    if injected:
        assert [one["name"] for one in made["spec"]["initContainers"]] == ["istio-init", "istio-proxy"]
        assert made["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"
