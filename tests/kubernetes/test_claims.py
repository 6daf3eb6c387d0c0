"""Which volume fits which claim."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.claims import best, claims_of, fits, is_for


def claim(**spec: Any) -> Object:
    whole = {
        "storageClassName": "manual",
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "3Gi"}},
        **spec,
    }
    return {"metadata": {"name": "task", "namespace": "default", "uid": "u", "resourceVersion": "7"}, "spec": whole}


def volume(name: str = "one", size: str = "10Gi", *, deleted: bool = False, **spec: Any) -> Object:
    whole = {
        "storageClassName": "manual",
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
        "volumeMode": "Filesystem",
        "capacity": {"storage": size},
        **spec,
    }
    metadata: Object = {"name": name, "labels": {"type": "local"}}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "spec": whole}


@pytest.mark.parametrize(
    "wanted",
    [
        {"storageClassName": "other"},
        {"accessModes": ["ReadWriteOnce", "ReadWriteMany"]},
        {"volumeMode": "Block"},
        {"resources": {"requests": {"storage": "11Gi"}}},
        {"selector": {"matchLabels": {"type": "remote"}}},
    ],
    ids=lambda wanted: next(iter(wanted)),
)
def test_a_volume_must_have_all_that_is_asked_for(wanted: Object) -> None:
    assert fits(volume(), claim())
    assert not fits(volume(), claim(**wanted))


def test_labels_choose() -> None:
    assert fits(volume(), claim(selector={"matchLabels": {"type": "local"}}))


def test_the_smallest_free_one_is_best() -> None:
    taken = volume("taken", "3Gi", claimRef={"namespace": "default", "name": "other"})
    going = volume("going", "3Gi", deleted=True)
    assert best(claim(), [volume("b", "5Gi"), volume("large"), volume("a", "5Gi"), taken, going]) == volume("a", "5Gi")
    assert best(claim(), [taken, going, volume("small", "1Gi")]) is None


def test_one_that_is_reserved_goes_first() -> None:
    reserved = volume("z", "10Gi", claimRef={"namespace": "default", "name": "task"})
    assert best(claim(), [volume("a", "3Gi"), reserved]) == reserved
    assert not is_for(volume(claimRef={"namespace": "default", "name": "task", "uid": "of an earlier one"}), claim())


def test_the_claims_of_a_pod() -> None:
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {"claimName": "task"}}]
    assert claims_of({"spec": {"volumes": volumes}}) == ["task"]
    assert claims_of({"spec": {}}) == []
