from __future__ import annotations

import json

from meshdojo.validation.setup import LAST_APPLIED, as_kubectl_would


def test_objects_carry_what_kubectl_apply_would_remember() -> None:
    metadata = {"name": "web", "annotations": {"a": "b"}}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {}}
    applied = as_kubectl_would(manifest)
    annotations = applied["metadata"]["annotations"]
    assert annotations["a"] == "b"
    assert json.loads(annotations[LAST_APPLIED]) == manifest
    assert metadata["annotations"] == {"a": "b"}
