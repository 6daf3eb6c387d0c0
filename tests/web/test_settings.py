"""Settings refuse what cannot work, and name it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from meshdojo.web.settings import Settings


def test_a_laptop_needs_only_a_directory(tmp_path: Path) -> None:
    settings, other = Settings(tmp_path), Settings(tmp_path)
    assert settings.url == "http://127.0.0.1:8484"
    assert settings.entry_url == f"http://127.0.0.1:8484/?token={settings.token}"
    assert settings.database == f"sqlite+aiosqlite:///{tmp_path}/site.db"
    assert settings.token != other.token
    assert len(settings.token) >= 32


def test_another_database_and_another_address(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path, database_url="postgresql://host/name", base_url="https://dojo.example/", host="0.0.0.0"
    )
    assert settings.database == "postgresql://host/name"
    assert settings.entry_url.startswith("https://dojo.example/?token=")
    assert settings.hosts == {"dojo.example"}


def test_ipv6(tmp_path: Path) -> None:
    settings = Settings(tmp_path, host="::1")
    assert settings.url == "http://[::1]:8484"
    assert "[::1]" in settings.hosts


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": 0}, "port 0: allowed are 1 to 65535"),
        ({"port": 70000}, "port 70000"),
        ({"token": "short"}, "token of 5 characters: at least 16"),
        ({"base_url": "ftp://x"}, "base_url 'ftp://x': expected http"),
        ({"base_url": "dojo"}, "base_url 'dojo'"),
    ],
)
def test_what_cannot_work_is_named(tmp_path: Path, wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(tmp_path, **wrong)  # type: ignore[arg-type]


def test_the_command_line_is_called_so_that_a_learner_can_copy_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "meshdojo"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    assert Settings(tmp_path).command == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert Settings(tmp_path).command == "meshdojo"


def test_commands_name_the_mesh_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    assert Settings(tmp_path, command="meshdojo").call("shell") == "meshdojo shell"
    other = Settings(tmp_path, command="meshdojo", backend="kind", instance="two")
    assert other.call("reset canary") == "meshdojo reset canary --backend kind --name two"
