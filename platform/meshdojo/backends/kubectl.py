"""The one program that every lab needs on the learner's machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

from meshdojo.backends.base import BackendMissing

# The first whose exec and port-forward both use WebSockets by default; older ones speak raw SPDY for one of them.
OLDEST = (1, 31)
_HOW = "See https://kubernetes.io/docs/tasks/tools/ for how to install it."


def kubectl_version() -> tuple[int, int]:
    """The (major, minor) of the kubectl on the PATH. Raises `BackendMissing` when it is absent, broken or too old."""
    path = shutil.which("kubectl")
    if path is None:
        raise BackendMissing(f"'kubectl' is not on the PATH, and every lab uses it. {_HOW}")
    version = _parse(path)
    if version < OLDEST:
        raise BackendMissing(
            f"{path} is version {version[0]}.{version[1]}; the labs need {OLDEST[0]}.{OLDEST[1]} or newer. {_HOW}"
        )
    return version


def _parse(path: str) -> tuple[int, int]:
    command = [path, "version", "--client", "--output=json"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        version = json.loads(found.stdout)["clientVersion"]
        return int(version["major"]), int(re.sub(r"\D.*", "", version["minor"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise BackendMissing(f"'{' '.join(command)}' does not answer as kubectl does ({error}). {_HOW}") from error
