"""Redirected paths. (What programs see is tested in a pod: test_volumes.)"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshdojo.kubelet.runner import files


@pytest.fixture(autouse=True)
def redirecting() -> Iterator[None]:
    files.activate("/root-of-it", "/etc/config:/data/")
    yield
    files.activate("", "")


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/etc/config", "/root-of-it/etc/config"),
        ("/etc/config/a", "/root-of-it/etc/config/a"),
        ("/etc/config/../config/a", "/root-of-it/etc/config/a"),
        (b"/data/x", b"/root-of-it/data/x"),
        (Path("/data/x"), "/root-of-it/data/x"),
        ("/etc/configuration", "/etc/configuration"),
        ("/etc/passwd", "/etc/passwd"),
        ("relative", "relative"),
        (7, 7),
        (None, None),
    ],
)
def test_only_paths_below_a_mount_are_redirected(path: Any, real: Any) -> None:
    assert files.redirected(path) == real


def test_without_mounts_nothing_is_redirected() -> None:
    files.activate("", "/etc/config")
    assert files.redirected("/etc/config/a") == "/etc/config/a"
