"""The command line from outside: words and exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from meshdojo.cli.main import main


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
        (["kubeconfig", "--backend", "kind"], 3, "meshdojo up --detach --backend kind"),
        (["check", "canary", "--name", "two"], 3, "'meshdojo up --detach --name two'"),
        (["shell", "--backend", "kind"], 3, "meshdojo up --detach --backend kind"),
        (["reset", "nosuch"], 2, "there is no lab 'nosuch'; there are: why-a-mesh"),
        (["validate", "nosuch"], 2, "canary"),
        (["validate", "canary", "--junit", "/nosuch/x.xml"], 2, "there is no directory /nosuch"),
        (["validate", "canary", "--jobs", "2", "--backend", "context"], 2, "--jobs is for"),
        (["check", "canary", "nosuch"], 2, "there are: dark, canary"),
        (["check", "canary", "--watch", "--json"], 2, "cannot go together with --json"),
        (["status"], 1, "embedded: down"),
        (["status", "--name", "two"], 1, "start it with 'meshdojo up --detach --name two'"),
        (["status", "--backend", "moon"], 2, "there are: embedded, kind"),
        (["status", "--name", "Big Lab"], 2, "allowed are small letters"),
        (["image", "add", "a/b", "--", "nosuch"], 2, "'nosuch' is not a program"),
        (["image", "remove", "a/b"], 2, "there is no image 'a/b' of yours"),
        (["new-lab", "Big Lab"], 2, "small letters, digits and single dashes"),
        (["join", "nowhere", "x"], 2, "begins with http:// or https://"),
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


def test_a_token_that_cannot_be_one_is_said(tmp_path: Path) -> None:
    ran = meshdojo("check", "canary", "--site", "http://127.0.0.1:1", home=tmp_path, MESHDOJO_TOKEN="\u00e9")
    assert (ran.returncode, ran.stderr) == (3, "error: MESHDOJO_TOKEN is no token: it has characters that none has.\n")


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert meshdojo("--version", home=tmp_path).stdout == f"meshdojo {version('meshdojo')}\n"


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "meshdojo.cli", "labs"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (ran.returncode, ran.stderr) == (3, "error: No space left on device\n")


@pytest.mark.parametrize("arguments", [["labs"], ["chapter", "canary"], ["image", "list", "--json"], ["--help"]])
def test_who_reads_no_further_sees_no_error(arguments: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "meshdojo.cli", *arguments],
            env={**os.environ, "MESHDOJO_HOME": str(tmp_path)},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert ran.stderr == ""


def test_a_mistake_of_ours_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("meshdojo.cli.main.app", broken)
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    (noted,) = tmp_path.glob("meshdojo-*.txt")
    assert left.value.code == 3
    assert "ZeroDivisionError: by zero. That is a mistake in meshdojo." in said
    assert str(noted) in said
    assert "Traceback" not in said
    assert "Traceback" in noted.read_text()


def test_ctrl_c_ends_it_with_130_from_the_first_moment(tmp_path: Path) -> None:
    """While it still reads its own modules: here one that waits takes the place of the largest."""
    (tmp_path / "typer.py").write_text("import os, time\nos.write(1, b'importing')\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "meshdojo.cli", "labs"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read(9) == b"importing"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")


def test_a_narrow_terminal_still_shows_whole_names(tmp_path: Path) -> None:
    lines = meshdojo("labs", home=tmp_path, COLUMNS="40").stdout.splitlines()
    assert "circuit-breaking" in [line.split()[0] for line in lines]
    assert all(len(line) <= 40 for line in lines)


def test_a_shell_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "kind-meshdojo").mkdir()
    (tmp_path / "kind-meshdojo" / "kubeconfig").touch()
    ran = meshdojo("shell", "--backend", "kind", "-c", "true", home=tmp_path, SHELL="/nosuch")
    assert (ran.returncode, "'/nosuch' (the variable SHELL)" in ran.stderr) == (3, True)


def test_commands_in_a_lab_shell_mean_its_cluster(tmp_path: Path) -> None:
    """Also when they come through a pipe; the exit code is that of the last one."""
    (tmp_path / "kind-meshdojo-two").mkdir()
    (tmp_path / "kind-meshdojo-two" / "kubeconfig").touch()
    ran = subprocess.run(
        [sys.executable, "-m", "meshdojo.cli", "shell", "--backend", "kind", "--name", "two"],
        env={**os.environ, "MESHDOJO_HOME": str(tmp_path), "SHELL": "/bin/sh"},
        input="meshdojo kubeconfig\nexit 7\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (7, "")
    assert ran.stdout.strip() == str(tmp_path / "kind-meshdojo-two" / "kubeconfig")


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
        nested = "meshdojo shell -c 'echo $PATH; exit 5'"
        within = meshdojo("shell", "-c", nested, home=tmp_path, SHELL="/bin/sh", PATH=os.environ["PATH"])
        assert within.returncode == 5
        assert within.stdout.count(str(tmp_path / "default" / "bin")) == 1
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
