"""The words of a real API server (Kubernetes 1.34.4), recorded for objects of ours, against our own.

Each line of recorded.jsonl is an object that was created with a dry run, and what the server said: the causes of a
422, the message of another refusal, or the object with its defaults.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import schema
from meshdojo.kubernetes.resources import Catalogue, Resource

_HERE = Path(__file__).parent
_CASES: list[dict[str, Any]] = [json.loads(line) for line in (_HERE / "recorded.jsonl").read_text().splitlines()]


def _catalogue() -> Catalogue:
    catalogue = Catalogue.builtin()
    catalogue.add_crd(yaml.safe_load((_HERE / "things.yaml").read_text()))
    return catalogue


_CATALOGUE = _catalogue()


def _name(case: dict[str, Any]) -> str:
    return f"{case['resource'].split('.')[0]}-{json.dumps(case['object'].get('spec', case['object']))[:60]}"


def _resource(case: dict[str, Any]) -> Resource:
    resource = _CATALOGUE.by_name(case["resource"])
    assert resource is not None
    return resource


def _create(case: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    resource = _resource(case)
    decoded, warnings = schema.decode(resource, case["object"], field_validation=case["validation"])
    if resource.namespaced:
        decoded["metadata"]["namespace"] = "schema-lab"
    filled = schema.apply_defaults(resource, decoded)
    schema.validate(resource, filled, None)
    return filled, warnings


_REFUSED = [case for case in _CASES if "causes" in case]
_UNREADABLE = [case for case in _CASES if "message" in case]
_ACCEPTED = [case for case in _CASES if "answer" in case]


def test_the_recording_has_all_three_kinds() -> None:
    assert len(_REFUSED) > 100
    assert len(_UNREADABLE) >= 5
    assert len(_ACCEPTED) >= 5


@pytest.mark.parametrize("case", _REFUSED, ids=_name)
def test_refusals(case: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as refusal:
        _create(case)
    assert refusal.value.code == 422
    causes = [[cause["field"], cause["message"]] for cause in (refusal.value.details or {})["causes"]]
    # Where the real server walks over a map, its order is by chance.
    assert sorted(causes) == sorted(case["causes"])


@pytest.mark.parametrize("case", _UNREADABLE, ids=_name)
def test_what_cannot_be_decoded(case: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as refusal:
        _create(case)
    assert (refusal.value.code, refusal.value.message) == (400, case["message"])


@pytest.mark.parametrize("case", _ACCEPTED, ids=_name)
def test_defaults(case: dict[str, Any]) -> None:
    filled, warnings = _create(case)
    if filled["kind"] == "Service":
        # Given out by the API server, no defaults.
        filled["spec"].pop("clusterIPs", None)
    del filled["metadata"]["namespace"]
    assert filled == case["answer"]
    assert warnings == case.get("warnings", [])
