"""Lines that messages name, and parts of files that cannot be read, as istioctl was seen to have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.istio.analysis.analyzers import analyze
from meshdojo.istio.analysis.source import Place, Unreadable, manifests, parts
from meshdojo.istio.analysis.world import World

HERE = Path(__file__).parent
RULE = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\n"


def test_messages_name_the_lines_that_the_real_one_names() -> None:
    given = [
        one for first, text in parts((HERE / "lines.yaml").read_text()) for one in manifests("lines.yaml", text, first)
    ]
    found = analyze(World.of([], given, complete=False))
    assert [str(one) for one in found] == (HERE / "lines.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a", [(1, "a")]),
        ("---\na", [(1, "---\na")]),
        ("a\n---\nb\n--- # c\nd", [(1, "a"), (3, "b"), (5, "d")]),
        ("# a\n\n---\nb\n---\n", [(1, "# a\n"), (4, "b"), (6, "")]),
    ],
)
def test_a_file_is_cut_at_its_dashes(text: str, wanted: list[tuple[int, str]]) -> None:
    assert list(parts(text)) == wanted


def test_a_manifest_begins_after_what_is_empty() -> None:
    assert [place.line for place, _ in manifests("f", RULE, 7)] == [7]
    assert [place.line for place, _ in manifests("f", "\n\n---\n" + RULE, 7)] == [10]
    assert manifests("f", "# nothing\n", 1) == []


def test_items_of_a_list_have_lines_of_their_own() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  kind: B\n"
    places = [place for place, _ in manifests("f", text, 1)]
    assert [place.reference(("kind",)) for place in places] == ["f:5", "f:7"]
    assert [place.reference(()) for place in places] == ["f:4", "f:6"]


def test_json_has_no_lines() -> None:
    ((place, _),) = manifests("f.json", '{"apiVersion": "v1",\n"kind": "A"}', 1)
    assert place.reference(("kind",)) == "f.json"
    assert Place("-").reference(()) == "-"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [b\nkind: x\n", "failed converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"),
        (
            "a: b\n  c: d\n",
            "failed converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context",
        ),
        ("a: [\n", "failed converting YAML to JSON: yaml: line 1: did not find expected node content"),
        ("foo: bar\n", "unable to parse resource with no group, version and kind"),
        ("- a\n", "failed interpreting jsonChunk: couldn't get version/kind; it is no object"),
    ],
)
def test_what_is_no_manifest_is_said(text: str, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        manifests("f", text, 1)
    assert str(caught.value) == words
