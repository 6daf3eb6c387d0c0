import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

APPS = Path(__file__).parents[2] / "apps"
IMAGES = tomllib.loads((APPS / "images.toml").read_text())
STAGE = re.compile(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", re.MULTILINE | re.DOTALL)


def stages() -> Any:
    return dict(STAGE.findall((APPS / "Dockerfile").read_text()))


def instruction(stage: Any, name: Any) -> Any:
    found = re.search(rf"^{name} (\[.*\])$", stage, re.MULTILINE)
    return tomllib.loads(f"x = {found[1]}")["x"] if found else []


@pytest.mark.parametrize("image", IMAGES["images"])
def test_the_dockerfile_and_images_toml_agree(image: Any) -> None:
    described = IMAGES["images"][image]
    stage = stages()[described["target"]]
    assert instruction(stage, "ENTRYPOINT") == described["entrypoint"]
    assert instruction(stage, "CMD") == described["args"]


def test_every_stage_has_an_image() -> None:
    assert set(stages()) - {"base"} == {image["target"] for image in IMAGES["images"].values()}


@pytest.mark.parametrize("image", IMAGES["images"])
def test_entrypoints_are_modules_of_ours(image: Any) -> None:
    python, flag, module = IMAGES["images"][image]["entrypoint"]
    assert (python, flag) == ("python", "-m")
    path = APPS / module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_requirements_are_pinned_by_hash_and_name_no_registry() -> None:
    text = (APPS / "requirements.txt").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) > 5
    assert all("==" in pin for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "http" not in re.sub(r"aiohttp|httptools", "", text)


def test_every_module_to_preload_exists() -> None:
    assert IMAGES["preload"]
    for module in IMAGES["preload"]:
        importlib.import_module(module)
