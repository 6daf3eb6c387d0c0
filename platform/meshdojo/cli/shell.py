"""``meshdojo shell``: a shell in which kubectl, istioctl and the gateway's address are right."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from meshdojo.cli.console import err, run
from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Instance, opened


def shell(
    command: Annotated[str, typer.Option("--command", "-c", help="Run this command in the shell, and leave.")] = "",
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Open your shell with KUBECONFIG, PATH (istioctl) and GATEWAY_URL set for the lab cluster.

    Example: meshdojo shell -c 'kubectl get pods -A'
    """
    variables = dict(run(opened(backend, name).environment()))
    program = os.environ.get("SHELL") or "/bin/sh"
    if command:
        os.execvpe(program, [program, "-c", command], variables)
    err.print(f"A shell for the {backend} cluster; 'exit' leaves it.")
    os.execvpe(program, [program, "-i"], variables)
