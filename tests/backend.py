"""The same test on both backends, by one switch: the `backend` fixture. kind comes through pytest-kind.

One backend of each kind serves all tests of a run (tests/labs, tests/behaviour). `MESHDOJO_TEST_CLUSTER=NAME` names a
kind cluster that runs already: it is used, its Istio included, and left alone afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_kind import KindCluster

from meshdojo.backends.base import Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.kind import KindBackend, cluster_config
from meshdojo.embedded import lifecycle

KIND_PROGRAMS = ("docker", "kind", "kubectl", "istioctl")
RUNNING_CLUSTER = "MESHDOJO_TEST_CLUSTER"
CLUSTER = "meshdojo-test"


@pytest.fixture(scope="session", params=["embedded", pytest.param("kind", marks=pytest.mark.kind)])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A started backend of each kind, for the whole session, deleted afterwards."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(home))
        make = _embedded if request.param == "embedded" else _kind
        yield from make(request, home)


def _embedded(_request: pytest.FixtureRequest, _home: Path) -> Iterator[Backend]:
    backend = EmbeddedBackend()
    asyncio.run(backend.start(lambda text: None))
    yield backend
    lifecycle.delete(backend.instance)


def _kind(request: pytest.FixtureRequest, home: Path) -> Iterator[Backend]:
    missing = [program for program in KIND_PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not on the PATH: {', '.join(missing)}")
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no Docker engine answers ('docker info' fails)")
    if running := os.environ.get(RUNNING_CLUSTER):
        backend = KindBackend(cluster=running, kubeconfig=home / "kubeconfig")
        asyncio.run(backend.start(lambda text: None))
        yield backend
        return
    with another_kind(request, home, CLUSTER) as made:
        yield made


@contextmanager
def another_kind(request: pytest.FixtureRequest, home: Path, name: str) -> Iterator[Backend]:
    """A kind cluster, deleted afterwards."""
    cluster = _kind_cluster(request, home, name)
    config = home / f"{name}.yaml"
    config.write_text(json.dumps(cluster_config()))
    try:
        cluster.create(config)
        yield KindBackend(cluster=cluster.name, kubeconfig=Path(cluster.kubeconfig_path))
    finally:
        cluster.delete()


def _kind_cluster(request: pytest.FixtureRequest, home: Path, name: str) -> KindCluster:
    def program(option: str, name: str) -> Path:
        return Path(request.config.getoption(option) or str(shutil.which(name)))

    return KindCluster(
        name,
        home / f"{name}.kubeconfig",
        image=request.config.getoption("kind_image") or os.environ.get("MESHDOJO_KIND_IMAGE"),
        kind_path=program("kind_bin", "kind"),
        kubectl_path=program("kind_kubectl_bin", "kubectl"),
    )
