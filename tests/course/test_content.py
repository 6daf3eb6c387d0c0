from pathlib import Path

import pytest

from meshdojo.course import content


def test_a_checkout_has_its_content_beside_the_source() -> None:
    root = content.content_root()
    assert (root / "labs" / "base").is_dir()
    assert (root / "apps" / "images.toml").is_file()


def test_a_wheel_has_its_content_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "site-packages" / "meshdojo"
    for folder in ("labs", "apps"):
        (packaged / content.PACKAGED / folder).mkdir(parents=True)
    monkeypatch.setattr(content, "__file__", str(packaged / "course" / "content.py"))
    content.content_root.cache_clear()
    try:
        assert content.content_root() == packaged / content.PACKAGED
    finally:
        content.content_root.cache_clear()
