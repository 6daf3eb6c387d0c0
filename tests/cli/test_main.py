"""The command line from outside: words and exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def meshdojo(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshdojo.cli", *arguments],
        env={**os.environ, "MESHDOJO_HOME": str(home), "COLUMNS": "200", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "canary"], 3, "meshdojo up --detach"),
        (["shell", "-c", "true"], 3, "meshdojo up --detach"),
        (["kubeconfig"], 3, "Start the cluster first: meshdojo up --detach"),
        (["reset", "nosuch"], 3, "'nosuch'"),
        (["validate", "nosuch"], 3, "canary"),
        (["status"], 1, "embedded: down"),
        (["status", "--backend", "moon"], 3, "there are: embedded, kind"),
        (["status", "--name", "Big Lab"], 3, "allowed are small letters"),
        (["serve", "--port", "0"], 2, "--port"),
        (["nosuch"], 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_remedy(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    ran = meshdojo(*arguments, home=tmp_path)
    assert ran.returncode == code, ran.stderr
    assert words in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_missing_kubectl_is_a_warning_that_says_where_it_is_had(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    ran = meshdojo("up", "--detach", home=tmp_path, PATH=str(empty))
    try:
        assert ran.returncode == 0
        assert "'kubectl' is not on the PATH" in ran.stderr
    finally:
        meshdojo("down", "--delete", home=tmp_path)


def test_an_old_kubectl_is_named_with_what_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "kubectl"
    old.write_text('#!/bin/sh\necho \'{"clientVersion": {"major": "1", "minor": "24+"}}\'\n')
    old.chmod(0o755)
    ran = meshdojo("up", "--detach", home=tmp_path, PATH=f"{tmp_path}:/bin:/usr/bin")
    try:
        assert "is version 1.24; the labs need 1.31 or newer" in ran.stderr
    finally:
        meshdojo("down", "--delete", home=tmp_path)


def test_the_life_of_a_cluster(tmp_path: Path) -> None:
    try:
        assert meshdojo("up", "--detach", home=tmp_path).returncode == 0
        found = json.loads(meshdojo("status", "--json", home=tmp_path).stdout)
        assert found["ready"]
        assert Path(meshdojo("kubeconfig", home=tmp_path).stdout.strip()).exists()
        named = meshdojo("shell", "-c", 'echo "$KUBECONFIG"', home=tmp_path, SHELL="/bin/sh")
        assert named.stdout.strip().endswith("kubeconfig")
    finally:
        assert meshdojo("down", "--delete", home=tmp_path).returncode == 0
    assert meshdojo("status", home=tmp_path).returncode == 1


def test_labs_are_listed_for_programs(tmp_path: Path) -> None:
    labs = json.loads(meshdojo("labs", "--json", home=tmp_path).stdout)
    assert "canary" in [lab["lab"] for lab in labs]


def test_a_second_up_joins_the_first_and_leaves_it_running(tmp_path: Path) -> None:
    try:
        assert meshdojo("up", "--detach", home=tmp_path).returncode == 0
        # Without --detach it would wait for Ctrl-C, and stop a cluster that is not its own.
        assert meshdojo("up", home=tmp_path).returncode == 0
        assert meshdojo("status", home=tmp_path).returncode == 0
    finally:
        meshdojo("down", "--delete", home=tmp_path)
