"""Selectors: the grammar, what matches, and the real parser's words (recorded on Kubernetes 1.34)."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.errors import StatusError
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.selectors import FieldSelector, LabelSelector, predicate

LABELS = {"app": "web", "tier": "front", "n": "5"}
CATALOGUE = Catalogue.builtin()


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app", True),
        ("nope", False),
        ("!nope", True),
        ("!app", False),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app=api", False),
        ("app!=api", True),
        ("nope!=api", True),
        ("app in (api, web)", True),
        ("app in (api)", False),
        ("app notin (api)", True),
        ("nope notin (api)", True),
        ("nope=", False),
        ("n>4", True),
        ("n>5", False),
        ("n<6", True),
        ("app<6", False),
        ("app,tier in (front),!nope,n>1", True),
    ],
)
def test_labels(text: str, matches: bool) -> None:
    assert LabelSelector.parse(text).matches_labels(LABELS) is matches


NAME_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,,", "found ',', expected: identifier after ','"),
        ("-a=b", f'unable to parse requirement: <nil>: Invalid value: "-a": {NAME_WORDS}'),
    ],
)
def test_words_about_wrong_labels(text: str, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        LabelSelector.parse(text)

    assert caught.value.message == words
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")


def test_a_selector_object() -> None:
    selector = LabelSelector.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )

    assert selector.matches_labels(LABELS)
    assert not selector.matches_labels({**LABELS, "old": "yes"})
    assert LabelSelector.from_object(None).matches_labels({})


POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=p", True),
        ("metadata.name==p,status.phase!=Pending", True),
        ("status.phase=Pending", False),
        ("spec.nodeName=", False),
        ("status.podIP=", True),
        ("spec.hostNetwork!=true", True),
    ],
)
def test_fields(text: str, matches: bool) -> None:
    pods = CATALOGUE.find("", "v1", "pods")
    assert pods is not None
    assert FieldSelector.parse(text, pods).matches(POD) is matches


@pytest.mark.parametrize(
    ("resource", "text", "words"),
    [
        ("pods", "a=b", "field label not supported: a"),
        (
            "configmaps",
            "data.a=1",
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("jobs.batch", "a=b", 'field label "a" not supported for Job'),
        ("pods", "abc", "invalid selector: 'abc'; can't understand 'abc'"),
    ],
)
def test_words_about_wrong_fields(resource: str, text: str, words: str) -> None:
    found = CATALOGUE.by_name(resource)
    assert found is not None
    with pytest.raises(StatusError) as caught:
        predicate(found, "", text)

    assert caught.value.message == words
