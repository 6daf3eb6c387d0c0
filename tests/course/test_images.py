from pathlib import Path
from typing import Any

import pytest

from meshdojo.course.content import content_root
from meshdojo.course.errors import CourseError
from meshdojo.course.images import load_images


def test_the_courses_own_images() -> None:
    found = load_images(content_root() / "apps")
    by_name = {image.name: image for image in found.images}
    assert by_name["meshdojo/fleet-web"].entrypoint == ("python", "-m", "fleet.web")
    assert by_name["meshdojo/probe"].args == ("serve",)
    assert "uvicorn" in found.preload


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= nonsense", "cannot be read"),
        ('tag = "1"\npreload = []\n[images.x]\ntarget = "x"\n', "'entrypoint' is missing"),
        ("", "'images' is missing"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: Any, message: Any) -> None:
    (tmp_path / "images.toml").write_text(text)
    with pytest.raises(CourseError, match=message) as caught:
        load_images(tmp_path)
    assert "images.toml" in str(caught.value)
