from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.embedded.environment import Environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment of its own, which nothing has prepared yet."""
    monkeypatch.setenv("MESHDOJO_HOME", str(tmp_path / "home"))
    return Environment.named("default")
