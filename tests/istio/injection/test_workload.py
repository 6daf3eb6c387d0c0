from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.injection.workload import Workload, canonical_labels, workload


def owned(kind: str, name: str, version: str, **labels: str) -> dict[str, Any]:
    owner = {"apiVersion": version, "kind": kind, "name": name, "controller": True}
    return {"metadata": {"generateName": f"{name}-", "labels": labels, "ownerReferences": [owner]}}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (owned("ReplicaSet", "web-5d", "apps/v1", **{"pod-template-hash": "5d"}), ("web", "Deployment", "apps/v1")),
        (owned("ReplicaSet", "web", "apps/v1"), ("web", "ReplicaSet", "apps/v1")),
        (owned("StatefulSet", "db", "apps/v1"), ("db", "StatefulSet", "apps/v1")),
        (owned("Job", "nightly-29301234", "batch/v1"), ("nightly", "CronJob", "batch/v1")),
        (owned("Job", "once", "batch/v1"), ("once", "Job", "batch/v1")),
        ({"metadata": {"name": "alone"}}, ("alone", "Pod", "v1")),
    ],
)
def test_the_object_a_person_wrote(pod: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert workload(pod) == Workload(*expected)


def test_owner_of_a_deployment() -> None:
    owner = Workload("web", "Deployment", "apps/v1").owner("shop")
    assert owner == "kubernetes://apis/apps/v1/namespaces/shop/deployments/web"


@pytest.mark.parametrize(
    ("labels", "name", "revision"),
    [
        ({}, "web", "latest"),
        ({"app": "shop", "version": "v2"}, "shop", "v2"),
        ({"app": "shop", "app.kubernetes.io/name": "store", "app.kubernetes.io/version": "3"}, "store", "3"),
        ({"service.istio.io/canonical-name": "own", "app": "shop"}, "own", "latest"),
    ],
)
def test_canonical_service(labels: dict[str, str], name: str, revision: str) -> None:
    assert canonical_labels(labels, "web") == {
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": revision,
    }
