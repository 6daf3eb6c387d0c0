"""Kinds that nothing acts on: whoever makes one is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshdojo.kubernetes.admission.idle import WORDS
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.requests import Options

SPECS: dict[str, Any] = {
    "horizontalpodautoscalers.autoscaling": {
        "maxReplicas": 2,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    },
    "ingresses.networking.k8s.io": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    "networkpolicies.networking.k8s.io": {"podSelector": {}},
}


@pytest.mark.parametrize("resource", sorted(WORDS))
def test_who_makes_one_is_told(api: Api, resource: str) -> None:
    options = Options()
    obj = {"metadata": {"name": "one"}, "spec": SPECS[resource]}
    asyncio.run(api.create(resource, obj, "default", options=options))
    assert options.warnings == [WORDS[resource]]
    changed = Options()
    asyncio.run(api.patch(resource, "one", {"metadata": {"labels": {"a": "b"}}}, "default", options=changed))
    assert changed.warnings == []


def test_of_others_nothing_is_said(api: Api) -> None:
    options = Options()
    asyncio.run(api.create("configmaps", {"metadata": {"name": "one"}}, "default", options=options))
    assert options.warnings == []
