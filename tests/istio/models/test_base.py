from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from meshdojo.istio.models.base import NotParsed, camel, format_duration, parse_duration
from meshdojo.istio.models.gateway import Gateway
from meshdojo.istio.models.virtual_service import StringMatch, VirtualService


def virtual_service(*http: Any, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"hosts": ["web"], "http": list(http), **spec}}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("1.5s", 1.5), ("100ms", 0.1), ("1h30m", 5400), ("0", 0), ("-2s", -2), ("1m0.5s", 60.5), (".5s", 0.5)],
)
def test_durations_are_go_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5x", "1s2", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration: write numbers with units, such as 5s"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_durations_survive_formatting(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("h2_upgrade_policy", "h2UpgradePolicy"),
        ("from_", "from"),
        ("consecutive_5xx_errors", "consecutive5xxErrors"),
        ("http2_max_requests", "http2MaxRequests"),
    ],
)
def test_names_in_manifests(attribute: str, name: str) -> None:
    assert camel(attribute) == name


def test_every_mistake_is_named_with_its_place() -> None:
    wrong = virtual_service(
        {"route": [{"weight": "ten"}], "timeot": "1s", "timeout": "soon", "match": [{"uri": {"prefix": 1}}]}
    )
    with pytest.raises(NotParsed) as caught:
        VirtualService.parse(wrong)
    text = str(caught.value)
    assert 'unknown field "spec.http[0].timeot"' in text
    assert "spec.http[0].route[0].destination: Required value" in text
    assert "spec.http[0].route[0].weight: input should be a valid integer" in text
    assert 'spec.http[0].timeout: "soon" is no duration' in text
    assert "spec.http[0].match[0].uri.prefix: input should be a valid string, not 1" in text


def test_members_of_a_one_of_exclude_each_other() -> None:
    with pytest.raises(NotParsed, match="exact and prefix exclude each other: give only one of exact, prefix, regex"):
        VirtualService.parse(virtual_service({"match": [{"uri": {"exact": "/", "prefix": "/"}}]}))


def test_an_empty_text_is_a_given_member() -> None:
    parsed = VirtualService.parse(virtual_service({"match": [{"uri": {"prefix": ""}}, {"uri": {}}]}))
    first, second = parsed.spec.http[0].match
    assert first.uri == StringMatch(prefix="")
    assert second.uri == StringMatch()


def test_python_names_are_not_manifest_names() -> None:
    with pytest.raises(NotParsed, match=r'unknown field "spec.export_to"'):
        VirtualService.parse(virtual_service(export_to=["."]))


def test_both_spellings_of_the_old_field() -> None:
    for name in ("mirrorPercent", "mirror_percent"):
        parsed = VirtualService.parse(virtual_service({name: 7}))
        assert parsed.spec.http[0].mirror_percent == 7


def test_objects_are_immutable() -> None:
    parsed = VirtualService.parse(virtual_service())
    with pytest.raises(ValidationError):
        parsed.spec.hosts = ("other",)


def test_metadata_keeps_what_the_mesh_reads() -> None:
    metadata = {
        "name": "gw",
        "namespace": "edge",
        "labels": {"a": "b"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
    }
    parsed = Gateway.parse({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata})
    assert (parsed.name, parsed.namespace) == ("gw", "edge")
    assert parsed.metadata.creation_timestamp == "2026-01-01T00:00:00Z"
    assert parsed.metadata.labels == {"a": "b"}
