"""What ``meshdojo labs`` and ``meshdojo chapter`` read."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.cli import labs
from meshdojo.course.errors import CourseError


def test_a_mistake_in_the_glossary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labs").mkdir()
    glossary = tmp_path / "labs" / "glossary.md"
    monkeypatch.setattr("meshdojo.course.course.content_root", lambda: tmp_path)
    glossary.write_text("# Words\n\n## sidecar\n\nA proxy.\n")
    labs.labs(as_json=True)
    glossary.write_text("# Words\n\n## sidecar\n\n## subset\n\nSome pods.\n")
    with pytest.raises(CourseError, match=r"labs/glossary\.md:3: 'sidecar' has no explanation"):
        labs.labs(as_json=True)


def test_a_chapter_is_printed_with_and_without_answers(capsys: pytest.CaptureFixture[str]) -> None:
    labs.chapter("canary")
    whole = capsys.readouterr().out
    labs.chapter("canary", without_answers=True)
    stripped = capsys.readouterr().out
    assert "Hint 3: the answer" in whole
    assert "Hint 3: the answer" not in stripped
    assert "## Task: Bring it in dark" in stripped
