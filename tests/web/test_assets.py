"""The built front end: found, or asked for with the remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshdojo.web.assets import DIST, Assets, AssetsMissing

SITE = Path(__file__).parents[2] / "site"


def test_a_front_end_that_was_never_built(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing, match="make install"):
        Assets(tmp_path)


def test_an_asset_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"main.js": "main-1.js"}')
    assert Assets(tmp_path).url("main.js") == "/static/dist/main-1.js"
    with pytest.raises(AssetsMissing, match=r"old\.js: not in the built front end, which has main\.js"):
        Assets(tmp_path).url("old.js")


def test_everything_in_the_manifest_is_there_with_the_licences() -> None:
    for name in json.loads((DIST / "manifest.json").read_text()).values():
        assert (DIST / name).stat().st_size > 0
    licences = (DIST / "LICENCES.txt").read_text()
    for package in ("mermaid", "@fontsource-variable/geist"):
        assert f"== {package} ==" in licences


def test_the_build_is_up_to_date_with_its_sources() -> None:
    done = subprocess.run([sys.executable, SITE / "build.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "front end is up to date\n"


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((SITE / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 10
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
