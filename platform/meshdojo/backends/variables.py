"""What every lab shell finds in its environment, whatever the backend.

The backend is among it: ``meshdojo check`` typed in the shell of a kind cluster is about that cluster. So is
``meshdojo`` itself, at the end of the PATH, as nobody has to have activated its virtual environment.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def lab_variables(backend: str, instance: str, kubeconfig: Path) -> dict[str, str]:
    """The variables of this process, with those that make kubectl and meshdojo mean one cluster."""
    path = os.environ.get("PATH", os.defpath)
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "MESHDOJO_BACKEND": backend,
        "MESHDOJO_NAME": instance,
        "PATH": path if programs in path.split(os.pathsep) else f"{path}{os.pathsep}{programs}",
    }


def own_command() -> str:
    """How the learner calls us in a terminal of their own: by name if that finds this installation, else by path."""
    here = Path(sys.prefix) / "bin" / "meshdojo"
    found = shutil.which("meshdojo")
    return "meshdojo" if found and Path(found).resolve() == here.resolve() else shlex.quote(str(here))
