"""Wraps file access: paths below a mountPath are found below the container's own root directory.

There is no mount namespace, so the kubelet makes the mounts as links in a directory of the container's
(``MESHDOJO_ROOT``), and lists them in ``MESHDOJO_MOUNTS`` (separated by ':'). All other paths are the host's.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import ssl
from collections.abc import Callable
from typing import Any

_ONE_PATH = (
    *("open", "stat", "lstat", "listdir", "scandir", "access", "readlink", "mkdir", "rmdir", "remove", "unlink"),
    *("chmod", "chown", "utime", "truncate", "statvfs", "chdir", "getxattr"),
)
_TWO_PATHS = ("rename", "replace", "link", "symlink")


class _State:
    root = ""
    mounts: tuple[str, ...] = ()


def install() -> None:
    """Replace the functions of `os`, `io` and `builtins`; they pass everything through until `activate`."""
    system: Any = os
    for name in _ONE_PATH:
        setattr(system, name, _redirecting(getattr(os, name), 1))
    for name in _TWO_PATHS:
        setattr(system, name, _redirecting(getattr(os, name), 2))
    opening: Any = _redirecting(io.open, 1)
    builtins.open = opening
    io.open = opening
    context: Any = ssl.SSLContext
    context.load_cert_chain = _redirecting(ssl.SSLContext.load_cert_chain, 2, skip=1)
    context.load_verify_locations = _redirecting(ssl.SSLContext.load_verify_locations, 2, skip=1)
    # The sets by which callers ask what a function supports hold the functions themselves.
    for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        supported.update(
            getattr(os, name) for name in (*_ONE_PATH, *_TWO_PATHS) if getattr(os, name).__wrapped__ in supported
        )


def activate(root: str, mounts: str) -> None:
    """Redirect paths below the `mounts` (separated by ':') to `root`."""
    _State.root = root
    _State.mounts = tuple(mount.rstrip("/") for mount in mounts.split(":") if mount) if root else ()


def redirected(path: Any) -> Any:
    """Where `path` really is: unchanged unless it lies below a mountPath."""
    if not _State.mounts or isinstance(path, int) or path is None:
        return path
    name = os.fspath(path)
    text = os.fsdecode(name)
    if not text.startswith("/"):
        return path
    text = os.path.normpath(text) if ".." in text else text
    for mount in _State.mounts:
        if text == mount or text.startswith(mount + "/"):
            return os.fsencode(_State.root + text) if isinstance(name, bytes) else _State.root + text
    return path


def _redirecting(function: Callable[..., Any], paths: int, skip: int = 0) -> Callable[..., Any]:
    """`function` with its first `paths` arguments (after `skip`), and the usual keywords, redirected."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _State.mounts:
            return function(*args, **kwargs)
        changed = (*args[:skip], *map(redirected, args[skip : skip + paths]), *args[skip + paths :])
        for keyword in ("path", "src", "dst", "file", "cafile", "capath", "certfile", "keyfile"):
            if isinstance(kwargs.get(keyword), str):
                kwargs[keyword] = redirected(kwargs[keyword])
        return function(*changed, **kwargs)

    return wrapper
