from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from meshdojo.embedded import directories
from meshdojo.embedded.errors import EmbeddedError


def test_meshdojo_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHDOJO_HOME", str(tmp_path))
    assert directories.state_root() == tmp_path


def test_the_state_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHDOJO_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert directories.state_root() == tmp_path / "meshdojo"


def test_the_run_directory_is_short_enough_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("long" * 30)))
    socket = directories.run_directory(tmp_path / ("deep/" * 40)) / "pods" / ("0" * 36) / "admin.sock"
    assert len(str(socket)) < 100


def test_a_private_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir(mode=0o755)
    assert stat.S_IMODE(directories.private(path).stat().st_mode) == 0o700


def test_what_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"cannot make the directory .*MESHDOJO_HOME"):
        directories.private(tmp_path / "file" / "run")


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(EmbeddedError, match="belongs to user"):
        directories.private(tmp_path)
