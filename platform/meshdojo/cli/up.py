"""``meshdojo up``, ``down``, ``status`` and ``kubeconfig``: the life of a backend."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import Annotated

import typer

from meshdojo.backends.base import Backend, BackendMissing, BackendNotRunning, Progress
from meshdojo.backends.variables import own_command
from meshdojo.cli.console import EXIT_FAILED, err, out, run, steps
from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, AsJson, BackendName, Instance, chosen_by, opened


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it is ready; it goes on running.")
    ] = False,
    istio: Annotated[bool, typer.Option("--istio", help="Install Istio's demo profile too.")] = False,
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Start the cluster. A second 'up' joins the first: it returns, and leaves the stopping to that one.

    Example: meshdojo up --detach
    """
    chosen = opened(backend, name)
    with steps() as progress:
        started = run(_start(chosen, progress, istio, tied=not detach))
    _warn_about_kubectl()
    shell = f"{own_command()} shell{chosen_by(backend, name)}"
    err.print(f"The cluster is up. [bold]{shell}[/bold] opens a shell for it; kubeconfig: {chosen.kubeconfig}")
    if started and not detach:
        wait_for_interrupt()
        err.print("stopping ...")
        run(chosen.stop())


async def _start(backend: Backend, progress: Progress, istio: bool, *, tied: bool) -> bool:
    started = await backend.start(progress, tied=tied)
    if istio:
        await backend.ensure_istio(progress)
    return started


def wait_for_interrupt() -> None:
    """Return at Ctrl-C or SIGTERM."""
    err.print("Ctrl-C stops it.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        return


def _warn_about_kubectl() -> None:
    from meshdojo.backends.kubectl import kubectl_version

    try:
        kubectl_version()
    except BackendMissing as error:
        err.print(f"[yellow]warning:[/yellow] {error}")


def down(
    delete: Annotated[bool, typer.Option("--delete", help="Delete the environment's state too, for good.")] = False,
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Stop the cluster. The embedded one keeps its objects for the next 'up'; kind's are gone; yours is left alone.

    Example: meshdojo down
    """
    chosen = opened(backend, name)
    run(chosen.stop())
    if delete:
        _delete(chosen)
    err.print("The cluster is down.")


def _delete(backend: Backend) -> None:
    from meshdojo.backends.embedded import EmbeddedBackend
    from meshdojo.backends.minikube import MinikubeBackend
    from meshdojo.embedded import lifecycle

    if isinstance(backend, EmbeddedBackend):
        lifecycle.delete(backend.instance)
    elif isinstance(backend, MinikubeBackend):
        run(backend.delete())


def status(as_json: AsJson = False, backend: BackendName = DEFAULT_BACKEND, name: Instance = DEFAULT_INSTANCE) -> None:
    """Say whether the cluster runs, and which versions. Exit code 1 when it is not ready.

    Example: meshdojo status --json
    """
    found = run(opened(backend, name).status())
    if as_json:
        out.print_json(json.dumps({"backend": backend, **asdict(found)}))
    else:
        state = "ready" if found.ready else "not ready" if found.running else "down"
        out.print(f"{backend}: {state}", markup=False)
        for label, value in (("Kubernetes", found.kubernetes), ("Istio", found.istio), ("detail", found.detail)):
            if value:
                out.print(f"  {label}: {value}", markup=False)
    if not found.ready:
        raise typer.Exit(EXIT_FAILED)


def kubeconfig(backend: BackendName = DEFAULT_BACKEND, name: Instance = DEFAULT_INSTANCE) -> None:
    """Print the path of the kubeconfig.

    Example: export KUBECONFIG=$(meshdojo kubeconfig)
    """
    path = opened(backend, name).kubeconfig
    if not path.exists():
        start = f"meshdojo up --detach{chosen_by(backend, name)}"
        raise BackendNotRunning(f"there is no kubeconfig yet ({path}). Start the cluster first: {start}")
    print(path)
