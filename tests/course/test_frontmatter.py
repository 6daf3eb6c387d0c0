from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from meshdojo.course import frontmatter
from meshdojo.course.errors import CourseError


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 1


def parse(tmp_path: Path, text: Any) -> Any:
    file = tmp_path / "file.md"
    file.write_text(text)
    document = frontmatter.read(file)
    return document, frontmatter.parse(document, Model)


def test_the_body_keeps_its_line_numbers(tmp_path: Path) -> None:
    document, model = parse(tmp_path, "---\nname: x\n---\n# Title\n")
    assert model == Model(name="x")
    assert document.body.splitlines()[3] == "# Title"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("# no front matter\n", 1, "must start with ---"),
        ("---\nname: x\n", 1, "must start with ---"),
        ("---\nname: x\ncolour: red\n---\n", 3, "entry: found 'colour'; allowed: name, size"),
        ("---\nsize: 2\n---\n", 2, "entry 'name' is missing; needed: name"),
        ("---\nname: x\nsize: big\n---\n", 3, "entry 'size': found 'big'"),
        ("---\nname: x\nsize: [\n---\n", 4, "not valid YAML"),
        ("---\n- a\n---\n", 2, "expected entries of the form NAME: VALUE"),
        ("---\n---\n", 2, "expected entries"),
    ],
)
def test_mistakes_are_named_with_file_and_line(tmp_path: Path, text: Any, line: Any, message: Any) -> None:
    with pytest.raises(CourseError) as caught:
        parse(tmp_path, text)
    assert caught.value.line == line
    assert message in caught.value.message


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe---")
    for name in ("absent.md", "binary.md"):
        with pytest.raises(CourseError, match="cannot be read"):
            frontmatter.read(tmp_path / name)
