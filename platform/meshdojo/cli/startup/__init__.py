"""How a lab shell keeps its variables although the owner's start files set them anew.

``export KUBECONFIG=…`` and ``PATH=…`` stand in many a ``.bashrc``. A shell reads that after it got its variables from
us, and its kubectl would then mean the owner's own cluster: a learner's exercise must never reach that. So a shell is
started with a file of ours (bash, zsh) or a command (fish) that lets the owner's files have their say, and sets after
them what the lab needs.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = ("KUBECONFIG", "PATH", "GATEWAY_URL", "MESHDOJO_BACKEND", "MESHDOJO_NAME")


def started(program: str, variables: Mapping[str, str], *, interactive: bool) -> tuple[list[str], dict[str, str]]:
    """The shell's first words, and its environment: one in which `variables` hold after its start files.

    A shell that is none of bash, zsh and fish gets them as they are (dash and its like have no start file), and so
    does a bash that is not `interactive`, as it reads none; zsh and fish always read some.
    """
    kept = {name: variables[name] for name in KEPT if name in variables}
    exports = "; ".join(f"export {name}={shlex.quote(value)}" for name, value in kept.items())
    match Path(program).name:
        case "bash" if interactive:
            return [program, "--rcfile", str(HERE / "lab.bash")], {**variables, "MESHDOJO_RESTORE": exports}
        case "zsh":
            own = {"MESHDOJO_ZDOTDIR": variables.get("ZDOTDIR", ""), "ZDOTDIR": str(HERE / "zsh")}
            return [program], {**variables, **own, "MESHDOJO_RESTORE": exports}
        case "fish":
            return [program, "--init-command", _fish(kept)], dict(variables)
        case _:
            return [program], dict(variables)


def _fish(kept: Mapping[str, str]) -> str:
    """The same in fish's language, in which PATH is a list, and single quotes know two escapes."""
    lines = []
    for name, value in kept.items():
        quoted = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        lines.append(f"set -gx {name} {f'(string split : -- {quoted})' if name == 'PATH' else quoted}")
    return "; ".join(lines)
