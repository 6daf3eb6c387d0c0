"""The archive for a bug report: what is in it, and what is not."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from tests.cli.test_main import meshdojo

from meshdojo.cli.archive import without_secrets


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer <hidden>"),
        ("token eyJhbGciOiJS.eyJhdWQiOls.TocD9Wyg end", "token <hidden> end"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----", "<hidden>"),
        ("postgresql://me:pw@db/x", "postgresql://<hidden>@db/x"),
        ("- name: DB_PASSWORD\n  value: hunter2\n", "- name: DB_PASSWORD\n  value: <hidden>\n"),
        ("- name: COLOUR\n  value: red\n", "- name: COLOUR\n  value: red\n"),
        ("mine", "<hidden>"),
    ],
)
def test_what_is_secret_is_hidden(text: str, hidden: str) -> None:
    assert without_secrets(text, ["mine"]) == hidden


def test_one_archive_explains_the_cluster_and_holds_no_secrets(tmp_path: Path) -> None:
    archive = tmp_path / "d.tar.gz"
    try:
        assert meshdojo("up", "--detach", home=tmp_path).returncode == 0
        make = "kubectl create secret generic s --from-literal=password=hunter2"
        assert meshdojo("shell", "-c", make, home=tmp_path, SHELL="/bin/sh").returncode == 0
        kubeconfig = Path(meshdojo("kubeconfig", home=tmp_path).stdout.strip())
        token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
        ran = meshdojo("diagnose", "--output", str(archive), home=tmp_path)
        assert (ran.returncode, ran.stdout.strip()) == (0, str(archive)), ran.stderr
    finally:
        meshdojo("down", "--delete", home=tmp_path)
    with tarfile.open(archive) as found:
        names = {name.removeprefix("meshdojo-diagnosis/") for name in found.getnames()}
        content = b"".join(file.read() for one in found if (file := found.extractfile(one)) is not None)
    assert {"doctor.json", "status.json", "cluster.log", "cluster/default/services.yaml"} <= names
    assert b"component: apiserver" in content
    assert token.encode() not in content
    assert b"hunter2" not in content
    assert b"aHVudGVyMg" not in content


def test_a_cluster_that_is_down_is_diagnosed_too(tmp_path: Path) -> None:
    archive = tmp_path / "d.tar.gz"
    assert meshdojo("diagnose", "-o", str(archive), home=tmp_path).returncode == 0
    with tarfile.open(archive) as found:
        status = found.extractfile("meshdojo-diagnosis/status.json")
        assert status is not None
        assert json.load(status)["running"] is False
    assert meshdojo("diagnose", "-o", str(tmp_path / "no" / "d"), home=tmp_path).returncode == 3


def test_a_state_that_cannot_be_read_is_diagnosed_too(tmp_path: Path) -> None:
    archive = tmp_path / "d.tar.gz"
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "environment.json").write_text('{"format": 99}')
    (tmp_path / "default" / "cluster.log").write_text("Authorization: Bearer abc.def\n")
    assert meshdojo("diagnose", "-o", str(archive), home=tmp_path).returncode == 0
    with tarfile.open(archive) as found:
        log = found.extractfile("meshdojo-diagnosis/cluster.log")
        assert log is not None
        assert log.read() == b"Authorization: Bearer <hidden>\n"
