"""Paths below a mountPath as the host's programs find them, for which nobody redirects paths as the runner does.

A container's root is a directory of the host (``MESHDOJO_ROOT``), its mounts are links in there (``MESHDOJO_MOUNTS``).
What is an argument is translated; of the script of a ``sh -c`` also what the shell opens itself, where that can be seen
in its text: redirections, ``cd``, ``.`` and tests. What ordinary words of a script mean, only their commands know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

_SHELLS = frozenset({"ash", "bash", "dash", "sh"})
# "-c", also among others ("-ec").
_SCRIPT = re.compile(r"-[a-z]*c[a-z]*")
# What stands before a path that the shell opens: a redirection, a command of its own, a test of a file.
_OPENS = (
    r"""(?P<before>[<>]\|?\s*|(?<![\w/.-])(?:cd|\.|source)\s+|(?:\[\s+|(?<![\w/.-])test\s+)(?:!\s+)?-[a-zA-Z]\s+)"""
)
_ENDS = r"""(?=[/\s"';&|()<>]|$)"""


def arguments(program: str, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments of a program of the host."""
    shell = os.path.basename(program) in _SHELLS
    found: list[str] = []
    for position, word in enumerate(words):
        is_script = shell and position > 0 and _SCRIPT.fullmatch(words[position - 1]) is not None
        found.append(_script(word, environment) if is_script else _path(word, environment))
    return found


def _path(word: str, environment: Mapping[str, str]) -> str:
    for mount in _mounts(environment):
        if word == mount or word.startswith(mount + "/"):
            return environment["MESHDOJO_ROOT"] + word
    return word


def _script(text: str, environment: Mapping[str, str]) -> str:
    mounts = "|".join(re.escape(mount) for mount in _mounts(environment))
    if not mounts:
        return text
    root = environment["MESHDOJO_ROOT"]
    pattern = rf"""{_OPENS}(?P<quote>["']?)(?P<path>{mounts}){_ENDS}"""
    return re.sub(pattern, lambda found: f"{found['before']}{found['quote']}{root}{found['path']}", text)


def _mounts(environment: Mapping[str, str]) -> list[str]:
    """The longest first, since one may lie below another."""
    mounts = filter(None, environment.get("MESHDOJO_MOUNTS", "").split(":"))
    return sorted(mounts, key=len, reverse=True)
