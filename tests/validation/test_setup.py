from __future__ import annotations

import json
from typing import Any

import pytest

from meshdojo.validation.setup import LAST_APPLIED, as_kubectl_would, is_available


def deployment(wanted: int | None, generation: int = 1, /, **status: int) -> dict[str, Any]:
    spec = {} if wanted is None else {"replicas": wanted}
    return {"metadata": {"generation": generation}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("found", "available"),
    [
        (deployment(2, observedGeneration=1, replicas=2, updatedReplicas=2, availableReplicas=2), True),
        (deployment(None, observedGeneration=1, replicas=1, updatedReplicas=1, availableReplicas=1), True),
        (deployment(0, observedGeneration=1), True),
        (deployment(2, observedGeneration=1, replicas=2, updatedReplicas=2, availableReplicas=1), False),
        (deployment(2, observedGeneration=1, replicas=3, updatedReplicas=2, availableReplicas=2), False),
        (deployment(1, 2, observedGeneration=1, replicas=1, updatedReplicas=1, availableReplicas=1), False),
        (deployment(1), False),
        ({"metadata": {}, "spec": {"replicas": 1}}, False),
    ],
)
def test_available_means_all_new_and_no_old(found: dict[str, Any], available: bool) -> None:
    assert is_available(found) is available


def test_objects_carry_what_kubectl_apply_would_remember() -> None:
    metadata = {"name": "web", "annotations": {"a": "b"}}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}
    applied = as_kubectl_would(manifest)
    annotations = applied["metadata"]["annotations"]
    assert annotations["a"] == "b"
    assert json.loads(annotations[LAST_APPLIED]) == manifest
    assert metadata["annotations"] == {"a": "b"}
