from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest

from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.schema import cache, generator
from meshdojo.kubernetes.schema.types import go_name, of_resource, struct


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.load.cache_clear()


def test_the_types_are_generated_once_and_kept() -> None:
    document = cache.load()
    assert orjson.loads(cache.cache_file().read_bytes()) == document
    assert list(cache.cache_file().parent.iterdir()) == [cache.cache_file()]


def test_a_damaged_file_is_replaced() -> None:
    cache.warm()
    whole = cache.cache_file().read_bytes()
    cache.cache_file().write_bytes(whole[:1000])
    cache.load.cache_clear()
    cache.warm()
    assert cache.cache_file().read_bytes() == whole


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert cache.load()["V1Pod"]["d"]


def test_the_file_is_private_to_its_user_or_readable_only() -> None:
    cache.warm()
    assert not stat.S_IMODE(cache.cache_file().stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH)


def test_every_built_in_kind_has_types() -> None:
    for resource in Catalogue.builtin():
        owner = of_resource(resource)
        assert owner is not None, resource.name
        assert owner.name == resource.kind


def test_shapes() -> None:
    container = struct("V1Container").fields
    assert container["ports"].shape.go == "[]v1.ContainerPort"
    assert container["name"].required
    assert not container["image"].required
    assert struct("V1ServicePort").fields["targetPort"].shape.base == "intorstring"
    assert struct("V1ResourceRequirements").fields["limits"].shape.go == "map[string]resource.Quantity"
    assert struct("V1Probe").fields["terminationGracePeriodSeconds"].shape.base == "int64"
    assert struct("V1PodSpec").fields["containers"].description.startswith("List of containers belonging to the pod.")


@pytest.mark.parametrize(
    ("model", "name"),
    [("V1ContainerPort", "ContainerPort"), ("CoreV1Event", "Event"), ("V2MetricSpec", "MetricSpec")],
)
def test_go_names(model: str, name: str) -> None:
    assert go_name(model) == name


def test_a_model_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "client" / "models").mkdir(parents=True)
    with pytest.raises(generator.GeneratorError, match="has no model V1Pod; run: make install"):
        generator.generate(tmp_path, ["V1Pod"])


def test_a_model_of_another_shape_is_named(tmp_path: Path) -> None:
    models = tmp_path / "client" / "models"
    models.mkdir(parents=True)
    (models / "v1_pod.py").write_text("class V1Pod(object):\n    pass\n")
    with pytest.raises(generator.GeneratorError, match=r"v1_pod\.py: expected 'class V1Pod\(BaseModel\)'"):
        generator.generate(tmp_path, ["V1Pod"])
