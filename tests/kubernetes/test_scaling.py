"""Scales: of workloads in `test_api.py`; here those of custom resources, and what is refused of both."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
BOATS = "boats.example.com"
PATHS = {"specReplicasPath": ".spec.crew", "statusReplicasPath": ".status.aboard", "labelSelectorPath": ".status.of"}


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def refusal(coroutine: Coroutine[Any, Any, Any]) -> StatusError:
    with pytest.raises(StatusError) as caught:
        run(coroutine)
    return caught.value


def crd(scale: dict[str, str]) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
    }
    names = {"plural": "boats", "kind": "Boat"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": BOATS}, "spec": spec}


@pytest.fixture
def boats(api: Api) -> Api:
    run(api.create(CRDS, crd(PATHS)))
    run(api.create(BOATS, {"metadata": {"name": "ada"}, "spec": {"crew": 2}}, "default"))
    return api


def scale(api: Api) -> Any:
    return run(api.get(BOATS, "ada", "default", subresource="scale"))


def patched(api: Api, spec: dict[str, Any]) -> Coroutine[Any, Any, Any]:
    return api.patch(BOATS, "ada", {"spec": spec}, "default", subresource="scale")


def test_the_definition_says_where_the_numbers_are(boats: Api) -> None:
    status = {"status": {"aboard": 1, "of": "ship=ada"}}
    run(boats.patch(BOATS, "ada", status, "default", subresource="status"))

    assert scale(boats)["spec"] == {"replicas": 2}
    assert scale(boats)["status"] == {"replicas": 1, "selector": "ship=ada"}

    run(patched(boats, {"replicas": 5}))
    assert run(boats.get(BOATS, "ada", "default"))["spec"] == {"crew": 5}


def test_an_object_without_the_number_has_no_scale_until_one_is_set(boats: Api) -> None:
    run(boats.create(BOATS, {"metadata": {"name": "bare"}}, "default"))

    missing = refusal(boats.get(BOATS, "bare", "default", subresource="scale"))
    run(boats.patch(BOATS, "bare", {"spec": {"replicas": 3}}, "default", subresource="scale"))

    assert missing.message == 'Internal error occurred: the spec replicas field ".spec.crew" does not exist'
    assert run(boats.get(BOATS, "bare", "default"))["spec"] == {"crew": 3}


def test_what_is_no_number_of_replicas_is_refused(boats: Api) -> None:
    negative = refusal(patched(boats, {"replicas": -1}))
    words = refusal(patched(boats, {"replicas": "many"}))

    assert negative.code == 422
    assert negative.message == (
        'Scale.autoscaling "ada" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    assert words.code == 400
    assert scale(boats)["spec"] == {"replicas": 2}


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (
            {"specReplicasPath": ".status.a"},
            'Invalid value: ".status.a": should be a json path under .spec',
        ),
        ({"statusReplicasPath": ""}, "statusReplicasPath: Required value"),
        ({"labelSelectorPath": ".metadata.a"}, "should be a json path under either .spec or .status"),
        ({"specReplicasPath": ".spec.a[0]"}, 'Invalid value: ".spec.a[0]": should be a json path under .spec'),
    ],
)
def test_paths_that_cannot_be_are_refused(api: Api, paths: dict[str, str], words: str) -> None:
    refused = refusal(api.create(CRDS, crd({**PATHS, **paths})))

    assert "spec.subresources.scale." in refused.message
    assert words in refused.message
