"""Image references and the table of what they stand for."""

from __future__ import annotations

import pytest

from meshdojo.kubelet.images import Image, ImageTable, InvalidReference, repository

WEB = Image(("meshdojo/web", "example.com:5000/web"), ("python", "-m", "web"))
CURL = Image(("curlimages/curl",), ("curl",))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("web", "web"),
        ("web:1.0", "web"),
        ("library/web", "web"),
        ("docker.io/library/web:latest", "web"),
        ("docker.io/meshdojo/web", "meshdojo/web"),
        ("index.docker.io/meshdojo/web:1", "meshdojo/web"),
        ("example.com:5000/web:1", "example.com:5000/web"),
        ("web:1@sha256:" + "a" * 64, "web"),
    ],
)
def test_a_reference_names_a_repository(reference: str, name: str) -> None:
    assert repository(reference) == name


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("BAD:::x", "invalid reference format"),
        ("Web", r"invalid reference format: repository name \(library/Web\) must be lowercase"),
        ("team/Web:1", r"invalid reference format: repository name \(team/Web\) must be lowercase"),
    ],
)
def test_what_cannot_be_parsed_is_refused_with_the_words_of_containerd(reference: str, words: str) -> None:
    with pytest.raises(InvalidReference, match=f'couldn\'t parse image name ".*": {words}'):
        repository(reference)


def test_any_tag_of_a_known_name_is_found() -> None:
    table = ImageTable([WEB, CURL])
    assert table.find("docker.io/meshdojo/web:7") is WEB
    assert table.find("example.com:5000/web") is WEB
    assert table.find("meshdojo/other") is None
    assert table.names() == ["curlimages/curl", "example.com:5000/web", "meshdojo/web"]


def test_the_words_for_a_missing_image_list_the_known_ones() -> None:
    words, _, remedy = ImageTable([CURL]).missing("nosuch:1").rpartition(". ")
    assert words.endswith("with any tag, are: curlimages/curl")
    assert "meshdojo image add" in remedy
    assert "with any tag, are: none. " in ImageTable([]).missing("nosuch:1")


def test_an_image_has_a_stable_identifier() -> None:
    assert WEB.identifier == Image(("meshdojo/web",), ("other",)).identifier != CURL.identifier
