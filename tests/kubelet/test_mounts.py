"""Which words of a command are paths below a mount, for programs that know nothing of mounts."""

from __future__ import annotations

import pytest

from meshdojo.kubelet.mounts import arguments

ENVIRONMENT = {"MESHDOJO_ROOT": "/r", "MESHDOJO_MOUNTS": "/data:/data/deep:/etc/config"}


@pytest.mark.parametrize(
    ("word", "found"),
    [("/data", "/r/data"), ("/data/a", "/r/data/a"), ("/database", "/database"), ("data/a", "data/a"), ("-c", "-c")],
)
def test_an_argument(word: str, found: str) -> None:
    assert arguments("cat", [word], ENVIRONMENT) == [found]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo hi > /data/f", "echo hi > /r/data/f"),
        ("echo hi >/data/f", "echo hi >/r/data/f"),
        ("echo hi >> '/data/f'", "echo hi >> '/r/data/f'"),
        ('date 2>"/data/f";cat < /etc/config/a', 'date 2>"/r/data/f";cat < /r/etc/config/a'),
        ("while true; do date >> /data/log; sleep 1; done", "while true; do date >> /r/data/log; sleep 1; done"),
        ("cd /data && ls", "cd /r/data && ls"),
        (". /etc/config/a; source /data/b", ". /r/etc/config/a; source /r/data/b"),
        ("if [ -f /data/f ]; then", "if [ -f /r/data/f ]; then"),
        ("[ ! -e /data/deep/f ] || test -d /data", "[ ! -e /r/data/deep/f ] || test -d /r/data"),
    ],
)
def test_what_a_shell_opens(script: str, found: str) -> None:
    assert arguments("/bin/sh", ["-c", script], ENVIRONMENT) == ["-c", found]
    assert arguments("bash", ["-ec", script], ENVIRONMENT) == ["-ec", found]


@pytest.mark.parametrize(
    "script",
    ["echo /data/f", "cat /data/f", "echo > /database", "echo 1>&2", "curl web:80/data > /dev/null", "x.cd /data"],
)
def test_what_commands_open_is_theirs(script: str) -> None:
    assert arguments("sh", ["-c", script], ENVIRONMENT) == ["-c", script]


def test_only_a_shell_has_scripts() -> None:
    assert arguments("grep", ["-c", "a > /data/f"], ENVIRONMENT) == ["-c", "a > /data/f"]


def test_without_mounts_nothing_changes() -> None:
    assert arguments("sh", ["-c", "echo > /data/f"], {"MESHDOJO_ROOT": "/r"}) == ["-c", "echo > /data/f"]
