"""``meshdojo shell``: a shell in which kubectl, istioctl and the gateway's address are right."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Annotated

import typer

from meshdojo.cli.console import err, run
from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Instance, reached
from meshdojo.cli.startup import started
from meshdojo.errors import UserError


def shell(
    command: Annotated[str, typer.Option("--command", "-c", help="Run this command in the shell, and leave.")] = "",
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Open your shell with KUBECONFIG, PATH (istioctl) and GATEWAY_URL set for the lab cluster.

    Example: meshdojo shell -c 'kubectl get pods -A'
    """
    variables = dict(run(reached(backend, name).environment()))
    program = os.environ.get("SHELL") or "/bin/sh"
    if shutil.which(program) is None:
        raise UserError(f"your shell {program!r} (the variable SHELL) cannot be run; try SHELL=/bin/sh")
    interactive = not command and sys.stdin.isatty()
    words, environment = started(program, variables, interactive=interactive)
    if command:
        os.execvpe(program, [*words, "-c", command], environment)
    if not interactive:
        # Commands come through a pipe: nobody is there for a prompt.
        os.execvpe(program, words, environment)
    err.print(f"A shell for the {backend} cluster; 'exit' leaves it.")
    os.execvpe(program, [*words, "-i"], environment)
