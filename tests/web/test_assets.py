"""The built front end: found, or asked for with the remedy."""

from __future__ import annotations

import json
import shutil
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


def test_builds_side_by_side_are_one(tmp_path: Path) -> None:
    """Two that begin at once: the second waits, and finds what the first has built."""
    package = tmp_path / "site"
    for name in ("build.mjs", "package.json", "package-lock.json"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SITE / name, package / name)
    shutil.copy(SITE / "build.py", package / "build.py")
    dist = package / "meshdojo" / "web" / "static" / "dist"
    dist.mkdir(parents=True)
    begin = f"""
import importlib.util, time
spec = importlib.util.spec_from_file_location("build", {str(package / "build.py")!r})
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
log = build.HERE / "log"
def npm(*arguments):
    with log.open("a") as file:
        file.write("begin\\n")
    others = [line for line in log.read_text().splitlines()]
    assert others.count("begin") == others.count("end") + 1, others
    with log.open("a") as file:
        file.write("end\\n")
build._npm = npm
print(build.build())
"""
    children = [subprocess.Popen([sys.executable, "-c", begin], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(child.communicate()[0] for child in children)
    assert said == ["False\n", "False\n", "True\n"]
    assert (package / "log").read_text().split() == ["begin", "end"] * 2  # npm ci, npm run build: once each


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((SITE / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 10
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
