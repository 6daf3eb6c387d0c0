"""Options that several commands share, described once."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from meshdojo.cli import completion

if TYPE_CHECKING:
    from meshdojo.backends.base import Backend

BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        envvar="MESHDOJO_BACKEND",
        help="Where the mesh runs: embedded, kind, minikube or context (a cluster of yours).",
        show_default=True,
        autocompletion=completion.backends,
    ),
]
Instance = Annotated[
    str,
    typer.Option(
        "--name",
        envvar="MESHDOJO_NAME",
        help="Which environment, where you keep several; for --backend context the context.",
        show_default=True,
        autocompletion=completion.instances,
    ),
]
Confirm = Annotated[
    str, typer.Option("--confirm", help="On a cluster of yours: its name, in place of the question.", metavar="NAME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

DEFAULT_BACKEND = "embedded"
DEFAULT_INSTANCE = "default"


def opened(backend: str, instance: str) -> Backend:
    """The backend that the options name."""
    from meshdojo.backends.select import open_backend

    return open_backend(backend, instance)


def confirmed(backend: Backend, answer: str) -> Backend:
    """The backend, once somebody has named a cluster that is not ours. Raises `BadChoice` for another answer."""
    from meshdojo.backends.base import BadChoice

    if backend.owned:
        return backend
    wanted = backend.confirmation
    if not answer and sys.stdin.isatty():
        answer = typer.prompt(
            f"This deletes what meshdojo made in {wanted!r}, a cluster of yours. Type its name", err=True
        )
    if answer != wanted:
        raise BadChoice(f"nothing was done: this cluster is yours. Name it to go on: --confirm {wanted}")
    return backend


def reached(backend: str, instance: str) -> Backend:
    """The backend that the options name, once started. Raises `BackendNotRunning`."""
    from meshdojo.backends.base import BackendNotRunning

    chosen = opened(backend, instance)
    if not chosen.kubeconfig.exists():
        options = chosen_by(backend, instance)
        raise BackendNotRunning(f"the {backend} cluster is not running. Start it with 'meshdojo up --detach{options}'.")
    return chosen


def chosen_by(backend: str, instance: str) -> str:
    """The options that a command needs to mean the same cluster as this one, in words to be typed; '' for none."""
    given = {"--backend": (backend, "MESHDOJO_BACKEND", DEFAULT_BACKEND)}
    given["--name"] = (instance, "MESHDOJO_NAME", DEFAULT_INSTANCE)
    return "".join(
        f" {option} {shlex.quote(value)}"
        for option, (value, variable, default) in given.items()
        if value != (os.environ.get(variable) or default)
    )
