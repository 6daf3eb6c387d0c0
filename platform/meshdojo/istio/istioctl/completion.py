"""``istioctl completion``: a script for bash (or zsh) that completes commands and flags.

It is written out of the tree of commands, so that it knows what there is; the values of flags are left to the shell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from meshdojo.istio.istioctl.command import Command, CommandError, Invocation
from meshdojo.istio.istioctl.tree import GLOBALS, HELP, ROOT

SHELLS = ("bash", "zsh")
_SCRIPT = """\
# {shell} completion for istioctl: source <(istioctl completion {shell})
{before}_istioctl() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" path="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path/$word" in
{steps}
    esac
  done
  case "$path" in
{words}
  esac
}}
complete -o default -F _istioctl istioctl
"""


def run(invocation: Invocation) -> int:
    """``istioctl completion SHELL``: prints the script. Raises `CommandError` for a shell that it has none for."""
    if invocation.arguments not in ([shell] for shell in SHELLS):
        given = " ".join(invocation.arguments)
        raise CommandError(f"completion is there for {' and '.join(SHELLS)}, not for {given!r}")
    sys.stdout.write(script(invocation.arguments[0]))
    return 0


def script(shell: str) -> str:
    """The script for one of `SHELLS`."""
    paths = list(_paths(ROOT, ""))
    steps, words = [], []
    for path, command in paths:
        for below in command.commands:
            names = "|".join(f'"{path}/{name}"' for name in (below.name, *below.aliases))
            steps.append(f"      {names}) path={path}/{below.name};;")
        words.append(f'    "{path}") COMPREPLY=($(compgen -W "{_words(command)}" -- "$current"));;')
    before = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return _SCRIPT.format(shell=shell, before=before, steps="\n".join(steps), words="\n".join(words))


def _paths(command: Command, path: str) -> Iterator[tuple[str, Command]]:
    yield path, command
    for below in command.commands:
        yield from _paths(below, f"{path}/{below.name}")


def _words(command: Command) -> str:
    flags = (f"--{flag.name}" for flag in (*command.flags, *GLOBALS, HELP))
    shells = SHELLS if command.name == "completion" else ()
    return " ".join([*(below.name for below in command.commands), *shells, *flags])
