"""What a pod's annotations keep from its sidecar: ports that it serves, and ports that it calls."""

from __future__ import annotations

import asyncio

import pytest
import yaml
from tests.behaviour.test_mutual_tls import RESET, fate, from_outside, policy
from tests.behaviour.world import CLIENT_IMAGE, HERE, NAMESPACE, READY_SECONDS, World

from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.rollout import completed

STRICT = policy("{mtls: {mode: STRICT}}")
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: aside}\nspec: {selector: {app: aside}, ports: %s}\n"
PORTS = "[{name: http, port: 80, targetPort: 8080}]"
PLAIN = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: aside}
spec: {host: aside, trafficPolicy: {tls: {mode: DISABLE}}}
"""


def start(world: World, **annotations: str) -> None:
    """A server with the label app=aside, which can be a client as well."""
    container = {
        "name": "client",
        "image": CLIENT_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", (HERE / "echo.py").read_text()],
        "env": [
            {"name": "VERSION", "value": "aside"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/seen/ready", "port": 8080}, "periodSeconds": 1},
    }
    named = {f"traffic.sidecar.istio.io/{name}": value for name, value in annotations.items()}
    template = {
        "metadata": {"labels": {"app": "aside", "version": "v1"}, "annotations": named},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    spec = {"selector": {"matchLabels": {"app": "aside"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "aside"}, "spec": spec}
    world.apply(f"{yaml.safe_dump(deployment)}---\n{SERVICE % PORTS}")

    async def ready(client: HTTPClient) -> None:
        async with asyncio.timeout(READY_SECONDS):
            await completed(client, NAMESPACE, "aside")

    world.run(ready)
    world.apply(STRICT)


@pytest.mark.parametrize("annotations", [{"excludeInboundPorts": "8080"}, {"includeInboundPorts": "9090"}])
def test_a_port_past_the_sidecar_takes_plain_text_whatever_the_policy(
    world: World, annotations: dict[str, str]
) -> None:
    start(world, **annotations)
    assert from_outside(world) == RESET
    assert from_outside(world, "http://aside/") == "plain"
    # Callers in the mesh cannot know: their proxies speak TLS to a program that does not.
    assert fate(world.get("http://aside/")).startswith("503 ")
    world.apply(PLAIN)
    assert fate(world.many(80, "http://aside/")[-1]) == "plain"


def test_without_annotations_it_is_as_with_any_other(world: World) -> None:
    start(world)
    assert from_outside(world, "http://aside/") == RESET
    assert fate(world.get("http://aside/")) == "mutual"
    assert fate(world.get("http://server/", source="aside")) == "mutual"


@pytest.mark.parametrize(
    "annotations",
    [{"excludeOutboundPorts": "80"}, {"excludeOutboundIPRanges": "0.0.0.0/0"}, {"includeOutboundIPRanges": ""}],
)
def test_what_leaves_past_the_sidecar_is_plain_text(world: World, annotations: dict[str, str]) -> None:
    start(world, **annotations)
    assert fate(world.get("http://server/", source="aside")) == RESET
    assert fate(world.get("http://aside/")) == "mutual"
