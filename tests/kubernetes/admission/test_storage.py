"""What every new claim and volume gets, and which claims may grow."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.claims import CLAIMS, CLASSES, DEFAULT_CLASS, VOLUMES
from meshdojo.kubernetes.errors import StatusError


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def claim(api: Api, name: str = "data", **spec: Any) -> Any:
    whole = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return run(api.create(CLAIMS, {"metadata": {"name": name}, "spec": whole}, "default"))


def storage_class(api: Api, name: str, *, default: bool = False, **more: Any) -> None:
    annotations = {DEFAULT_CLASS: "true"} if default else {}
    body = {"metadata": {"name": name, "annotations": annotations}, "provisioner": "example.com/x", **more}
    run(api.create(CLASSES, body))


def grow(api: Api, name: str) -> Any:
    patch = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    return run(api.patch(CLAIMS, name, patch, "default"))


def test_without_a_default_class_there_is_none(api: Api) -> None:
    run(api.delete(CLASSES, "standard"))
    made = claim(api)
    assert "storageClassName" not in made["spec"]
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def test_the_default_class_is_for_who_names_none(api: Api) -> None:
    storage_class(api, "plain")
    storage_class(api, "default", default=True)
    assert claim(api, "a")["spec"]["storageClassName"] == "default"
    assert claim(api, "b", storageClassName="")["spec"]["storageClassName"] == ""
    assert claim(api, "c", storageClassName="plain")["spec"]["storageClassName"] == "plain"


def test_a_volume_is_protected(api: Api) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    made = run(api.create(VOLUMES, {"metadata": {"name": "one", "finalizers": ["example.com/a"]}, "spec": spec}))
    assert made["metadata"]["finalizers"] == ["example.com/a", "kubernetes.io/pv-protection"]


def test_a_bound_claim_grows_where_its_class_allows_it(api: Api) -> None:
    storage_class(api, "fixed")
    storage_class(api, "grows", allowVolumeExpansion=True)
    for name in ("fixed", "grows"):
        claim(api, name, storageClassName=name)
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        run(api.patch(CLAIMS, name, bound, "default", subresource="status"))
    with pytest.raises(StatusError, match="the storageclass that provisions the pvc must support resize") as caught:
        grow(api, "fixed")
    assert caught.value.code == 403
    assert grow(api, "grows")["spec"]["resources"]["requests"]["storage"] == "2Gi"
