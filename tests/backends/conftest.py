"""Every backend before the same tests. Behind all of them is one embedded cluster; `kind`, `minikube` and `docker` are
doubles on the PATH that write down how they were called, and can be told to fail, to hang, or to be missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshdojo.backends.base import BACKENDS, Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.select import open_backend
from meshdojo.embedded import lifecycle

PROGRAM = """#!{python}
import json, os, pathlib, sys, time
folder = pathlib.Path({folder!r})
me, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps([me, *words]) + "\\n")
mode = (folder / "mode").read_text()
exists = folder / "exists"
if mode == "bad":
    sys.exit(print(me + ": out of order", file=sys.stderr) or 7)
if mode == "never" and ("create" in words or "start" in words):
    (folder / "hanging").write_text(str(os.getpid()))
    time.sleep(1000)
if me == "kind":
    if "create" in words:
        exists.touch()
    if "create" in words or "export" in words:
        pathlib.Path(words[words.index("--kubeconfig") + 1]).write_text((folder / "kubeconfig").read_text())
    if "delete" in words:
        exists.unlink()
    if "get" in words and exists.exists():
        print("meshdojo")
if me == "minikube":
    state = exists.read_text() if exists.exists() else ""
    if words[:2] == ["profile", "list"]:
        print(json.dumps({{"valid": [{{"Name": "meshdojo", "Status": state}}] if state else [], "invalid": []}}))
    if words[0] == "start":
        exists.write_text("OK")
    if words[0] == "stop":
        exists.write_text("Stopped")
    if words[0] == "delete":
        exists.unlink()
"""
# kubectl as far as backends use it: `config view`.
KUBECTL = """#!/bin/sh
cat {folder}/kubeconfig
"""


@dataclass
class Stage:
    """A backend, and the doubles behind it."""

    backend: Backend
    folder: Path

    def mode(self, mode: str) -> None:
        """``well``, ``bad`` (every program fails) or ``never`` (starting hangs)."""
        (self.folder / "mode").write_text(mode)

    @property
    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def called(self, program: str, verb: str) -> bool:
        return any(call[0] == program and verb in call for call in self.calls)


@pytest.fixture(scope="session", name="embedded")
def embedded_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBackend]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        backend = EmbeddedBackend()
        asyncio.run(backend.start(lambda text: None))
        yield backend
        lifecycle.delete(backend.instance)


@pytest.fixture(params=BACKENDS)
def stage(
    request: pytest.FixtureRequest, embedded: EmbeddedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """Each backend in turn, not started."""
    folder = tmp_path / "doubles"
    folder.mkdir()
    (folder / "mode").write_text("well")
    (folder / "kubeconfig").write_text(embedded.kubeconfig.read_text())
    for name in ("kind", "minikube", "docker", "istioctl"):
        _program(folder / name, PROGRAM.format(python=sys.executable, folder=str(folder)))
    _program(folder / "kubectl", KUBECTL.format(folder=folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MESHDOJO_HOME", str(tmp_path / "home"))
    for variable in ("MESHDOJO_CONTEXT", "MINIKUBE_PROFILE", "MESHDOJO_KIND_IMAGE"):
        monkeypatch.delenv(variable, raising=False)
    backend = open_backend(request.param)
    yield Stage(backend, folder)
    if isinstance(backend, EmbeddedBackend):
        lifecycle.delete(backend.instance)


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(stat.S_IRWXU)
