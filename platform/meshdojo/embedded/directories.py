"""Where an environment keeps its files.

Two directories: the *state* directory outlives the machine's restart (journal, certificates, kubeconfig, progress);
the *run* directory holds sockets and the pods' files. Unix socket paths are limited to some 100 bytes, so the run
directory is short. Both are readable by their owner alone: they hold credentials and Envoy's admin sockets.

``MESHDOJO_HOME`` puts the state of all environments elsewhere. Source of the defaults: the XDG Base Directory
Specification.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from meshdojo.embedded.errors import EmbeddedError


def state_root() -> Path:
    """The directory that holds one directory per environment."""
    if home := os.environ.get("MESHDOJO_HOME"):
        return Path(home).absolute()
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "meshdojo"


def run_directory(state: Path) -> Path:
    """The private run directory that belongs to this state directory (the same at every call)."""
    digest = hashlib.sha256(str(state).encode()).hexdigest()[:8]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir() and len(runtime) < 40:
        return Path(runtime) / "meshdojo" / digest
    temporary = tempfile.gettempdir()
    # Made private, and its owner checked, by `private`.
    short = temporary if len(temporary) < 40 else "/tmp"  # noqa: S108
    return Path(short) / f"meshdojo-{os.getuid()}" / digest


def private(path: Path) -> Path:
    """Create `path` for its owner alone. Raises `EmbeddedError` where another user holds it or it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
        if found.st_uid != os.getuid():
            raise EmbeddedError(
                f"{path} belongs to user {found.st_uid}, not to you ({os.getuid()}). "
                "Remove it, or set MESHDOJO_HOME to a directory of your own."
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise EmbeddedError(
            f"cannot make the directory {path}: {error.strerror}. Set MESHDOJO_HOME to a directory that you may write."
        ) from error
    return path
