"""Our webhook's words against those that a real cluster's webhook used for the same objects (cases.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from meshdojo.istio.models.kinds import parse
from meshdojo.istio.validation.check import check, rules

CASES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text())


@pytest.mark.parametrize("name", CASES)
def test_the_words_of_a_real_cluster(name: str) -> None:
    case = CASES[name]
    api_version, kind = case["object"].split()
    metadata = {"name": "x", "namespace": "istioapi"}
    obj = parse({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": case["spec"]})
    found = rules(obj)
    if "refused" in case:
        assert found.text().strip() == case["refused"].strip()
    else:
        assert found.errors == []
        assert sorted(found.warnings) == sorted(case.get("warned", []))


def test_what_cannot_be_parsed_is_refused() -> None:
    found = check({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "spec": {"host": ["a"]}})
    assert found.errors == ['unknown field "spec.host"']
