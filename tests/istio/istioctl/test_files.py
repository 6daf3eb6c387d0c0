from __future__ import annotations

from pathlib import Path

import pytest

from meshdojo.istio.istioctl.command import CommandError
from meshdojo.istio.istioctl.files import documents, paths

OBJECT = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"


def test_documents_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"{OBJECT}---\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Pod}}\n")
    assert [one["kind"] for one in documents(str(path))] == ["Namespace", "Pod"]


def test_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("b.yaml", "a.json", "notes.txt", "inner/c.yml"):
        (tmp_path / name).write_text(OBJECT)
    assert [Path(one).name for one in paths([str(tmp_path)])] == ["a.json", "b.yaml", "c.yml"]
    skipped = f"Skipping file {tmp_path / 'notes.txt'}, recognized file extensions are: [.json .yaml .yml]\n"
    assert capsys.readouterr().err == skipped


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="stat /nowhere/x: no such file or directory"):
        paths(["/nowhere/x"])
