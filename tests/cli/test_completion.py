"""What the Tab key offers, asked as the shells ask it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_main import meshdojo

KUBECONFIG = """\
apiVersion: v1
kind: Config
contexts:
- {name: work, context: {cluster: a, user: b}}
- {name: wild, context: {cluster: a, user: b}}
"""


def offered(typed: str, home: Path, **environment: str) -> list[str]:
    """What bash gets for the last word of what was typed."""
    words = typed.split(" ")
    asked = {"_MESHDOJO_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    ran = meshdojo(home=home, **asked, **environment)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("meshdojo new", ["new-lab"]),
        ("meshdojo check can", ["canary"]),
        ("meshdojo chapter mt", ["mtls"]),
        ("meshdojo validate canary c", ["circuit-breaking"]),
        ("meshdojo check canary ", ["dark", "canary", "callers", "promote", "sticky"]),
        ("meshdojo check nosuch ", []),
        ("meshdojo up --backend ", ["embedded", "kind", "minikube", "context"]),
        ("meshdojo up --backend k", ["kind"]),
        ("meshdojo status --name ", ["default", "second"]),
        ("meshdojo status --backend kind --name ", ["default", "three"]),
        ("meshdojo status --backend context --name wo", ["work"]),
        ("meshdojo image remove s", ["shop/cart"]),
    ],
)
def test_names_are_offered(typed: str, wanted: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    for file in (
        *("default/environment.json", "second/environment.json", "site-default/site.db"),
        *("kind-meshdojo/kubeconfig", "kind-meshdojo-three/kubeconfig"),
    ):
        (home / file).parent.mkdir(parents=True)
        (home / file).touch()
    assert meshdojo("image", "add", "shop/cart", "--", "sleep", "1", home=home).returncode == 0
    (tmp_path / "config").write_text(KUBECONFIG)
    assert offered(typed, home, KUBECONFIG=str(tmp_path / "config")) == wanted


@pytest.mark.parametrize("typed", ["meshdojo image remove ", "meshdojo status --backend context --name "])
def test_what_cannot_be_read_offers_nothing(typed: str, tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "images.json").write_text("{")
    (tmp_path / "config").write_text("{{")
    assert offered(typed, tmp_path, KUBECONFIG=str(tmp_path / "config")) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(shell: str, tmp_path: Path) -> None:
    ran = meshdojo(home=tmp_path, _MESHDOJO_COMPLETE=f"source_{shell}")
    assert ran.returncode == 0
    assert "_MESHDOJO_COMPLETE" in ran.stdout


def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    """The script itself, in a real bash, with a `meshdojo` on the PATH that is a wrapper as in a lab shell."""
    script = meshdojo(home=tmp_path, _MESHDOJO_COMPLETE="source_bash").stdout
    wrapper = tmp_path / "meshdojo"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m meshdojo.cli "$@"\n')
    wrapper.chmod(0o755)
    asked = f"{script}\nCOMP_WORDS=(meshdojo check can) COMP_CWORD=2; _meshdojo_completion meshdojo\n"
    asked += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "--norc", "-c", asked],
        env={**os.environ, "PATH": path, "MESHDOJO_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout.split(), ran.stderr) == (["canary"], "")
