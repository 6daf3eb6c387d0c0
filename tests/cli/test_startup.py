"""A lab shell means its own cluster, whatever the owner's start files set: real shells, on a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import time
from pathlib import Path

import pytest

from meshdojo.cli.startup import started

# What the owner's files set, in the language of each shell, and where that shell looks for them below the home.
OWNERS = {
    "bash": (".bashrc", "export KUBECONFIG=/own PATH=/usr/bin:/bin OWN=read\n"),
    "zsh": (".zshrc", "export KUBECONFIG=/own PATH=/usr/bin:/bin OWN=read\n"),
    "fish": (".config/fish/config.fish", "set -gx KUBECONFIG /own; set -gx PATH /usr/bin /bin; set -gx OWN read\n"),
}
PATIENCE = 60.0
LAB = {"KUBECONFIG": "/lab/it's a \\config", "PATH": "/lab/bin:/usr/bin:/bin", "GATEWAY_URL": "127.0.0.1:80"}


def answer(words: list[str], environment: dict[str, str], typed: str, end: str) -> str:
    """What `words` print on a terminal of their own after `typed`, up to `end`."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(words[0], words, environment)
    said, until = "", time.monotonic() + PATIENCE
    try:
        os.write(terminal, f"{typed}\n".encode())
        while end not in said:
            ready = select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]
            assert ready, f"no {end!r} in {said!r}"
            said += os.read(terminal, 4096).decode(errors="replace")
    finally:
        os.close(terminal)
        os.kill(child, 9)
        os.waitpid(child, 0)
    return said


# bash is on every machine of ours; the others are looked at where they are.
INSTALLED = [shell for shell in OWNERS if shutil.which(shell)]
MOVED = [shell for shell in ("bash", "zsh") if shutil.which(shell)]


@pytest.mark.parametrize("shell", INSTALLED)
def test_what_the_owner_sets_does_not_lead_to_another_cluster(shell: str, tmp_path: Path) -> None:
    name, text = OWNERS[shell]
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    variables = {**LAB, "HOME": str(tmp_path), "TERM": "dumb"}
    words, environment = started(shutil.which(shell) or shell, variables, interactive=True)
    # The words are put together by printf, so that the echo of what was typed does not look like the answer.
    typed = 'printf "<%s|%s|%s|%s>" "$KUBECONFIG" "$PATH" "$OWN" "$MESHDOJO_RESTORE"; printf "%s%s" DO NE'
    if shell == "fish":
        typed = typed.replace('"$PATH"', "(string join : -- $PATH)")
    said = answer([*words, "-i"], environment, typed, "DONE")
    assert f"<{LAB['KUBECONFIG']}|{LAB['PATH']}|read|>" in said.replace("\r", "").replace("\n", "")


@pytest.mark.parametrize("shell", MOVED)
def test_the_owners_files_are_found_where_they_are(shell: str, tmp_path: Path) -> None:
    """zsh's .zshenv may say that the others are elsewhere; for bash that variable means nothing."""
    (tmp_path / ".zshenv").write_text(f"export ZDOTDIR={tmp_path}/dots KUBECONFIG=/own\n")
    (tmp_path / ".bashrc").write_text(f"export ZDOTDIR={tmp_path}/dots KUBECONFIG=/own OWN=read\n")
    (tmp_path / "dots").mkdir()
    (tmp_path / "dots" / ".zshrc").write_text("OWN=read\n")
    variables = {**LAB, "HOME": str(tmp_path), "TERM": "dumb"}
    words, environment = started(shutil.which(shell) or shell, variables, interactive=True)
    typed = 'printf "<%s|%s|%s>" "$KUBECONFIG" "$ZDOTDIR" "$OWN"; printf "%s%s" DO NE'
    said = answer([*words, "-i"], environment, typed, "DONE").replace("\r", "").replace("\n", "")
    assert f"<{LAB['KUBECONFIG']}|{tmp_path}/dots|read>" in said


@pytest.mark.parametrize("program", ["/bin/sh", "/bin/bash"])
def test_a_shell_without_start_files_gets_the_variables_as_they_are(program: str) -> None:
    assert started(program, LAB, interactive=False) == ([program], LAB)


def test_the_files_travel_with_the_program() -> None:
    words, _ = started("/bin/bash", LAB, interactive=True)
    _, environment = started("/bin/zsh", LAB, interactive=True)
    folder = Path(environment["ZDOTDIR"])
    assert Path(words[2]).is_file()
    assert (folder / ".zshenv").is_file()
    assert (folder / ".zshrc").is_file()
