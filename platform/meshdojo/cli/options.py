"""Options that several commands share, described once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from meshdojo.backends.base import Backend

BackendName = Annotated[
    str,
    typer.Option(
        "--backend", envvar="MESHDOJO_BACKEND", help="Where the mesh runs: embedded or kind.", show_default=True
    ),
]
Instance = Annotated[
    str,
    typer.Option(
        "--name", envvar="MESHDOJO_NAME", help="Which environment, where you keep several.", show_default=True
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

DEFAULT_BACKEND = "embedded"
DEFAULT_INSTANCE = "default"


def opened(backend: str, instance: str) -> Backend:
    """The backend that the options name."""
    from meshdojo.backends.select import open_backend

    return open_backend(backend, instance)


def reached(backend: str, instance: str) -> Backend:
    """The backend that the options name, once started. Raises `BackendNotRunning`."""
    from meshdojo.backends.base import BackendNotRunning

    chosen = opened(backend, instance)
    if not chosen.kubeconfig.exists():
        option = "" if backend == DEFAULT_BACKEND else f" --backend {backend}"
        raise BackendNotRunning(f"the {backend} cluster is not running. Start it with 'meshdojo up --detach{option}'.")
    return chosen
