"""The words of the course."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.course.content import content_root
from meshdojo.course.errors import CourseError
from meshdojo.course.glossary import Term, read_glossary


def write(folder: Path, text: str) -> Path:
    (folder / "glossary.md").write_text(text)
    return folder


def test_a_word_its_other_forms_and_its_meaning(tmp_path: Path) -> None:
    text = "# Glossary\n\nWords.\n\n## pod\n\n<!-- also: pods, a pod -->\n\nThe *smallest*.\n\n## proxy\n\nPasses on.\n"
    assert read_glossary(write(tmp_path, text)) == (
        Term("pod", ("pods", "a pod"), "The *smallest*."),
        Term("proxy", (), "Passes on."),
    )
    assert read_glossary(tmp_path / "elsewhere") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("## pod\n\n## proxy\n\nx\n", "glossary.md:1: 'pod' has no explanation"),
        ("## pod\n\nx\n\n## Proxy\n\n<!-- also: POD -->\n\nx\n", "glossary.md:5: 'Proxy', or another form"),
        ("## proxy\n\nx\n\n## pod\n\nx\n", "glossary.md:5: 'pod' comes after 'proxy'"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(CourseError, match=problem):
        read_glossary(write(tmp_path, text))


def test_our_own_can_be_read() -> None:
    assert len(read_glossary(content_root() / "labs")) > 25
