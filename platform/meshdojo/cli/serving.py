"""What ``meshdojo serve`` does: the cluster if asked for, then the site until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path

from meshdojo.backends.base import Backend
from meshdojo.backends.variables import own_command
from meshdojo.cli.console import err, run, steps
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.embedded import directories
from meshdojo.validation.setup import start_state
from meshdojo.web.server import ServeError, listen, serve_async
from meshdojo.web.settings import Settings, from_environment


def serve(backend: Backend, instance: str, host: str, port: int, url: str, database: str, *, up: bool) -> None:
    """Raises `UserError` when the address or the database cannot be used."""
    directory = state_directory(instance)
    try:
        settings = Settings(
            directory,
            database_url=database,
            backend=backend.name,
            instance=instance,
            host=host,
            port=port,
            base_url=url,
            **from_environment(os.environ),
        )
    except ValueError as error:
        raise ServeError(str(error)) from None
    # An address in use must be found before minutes are spent on a cluster.
    listen(host, port).close()
    started = up and run(_start(backend))
    try:
        run(serve_async(settings, lambda: _announce(settings)))
    finally:
        if started:
            err.print("stopping the cluster; its objects stay for the next start")
            run(backend.stop())


def state_directory(name: str) -> Path:
    """The private directory of this site (0700), made if need be. Raises `EmbeddedError` where it cannot be."""
    return directories.private(directories.state_root() / f"site-{name}")


async def _start(backend: Backend) -> bool:
    """Start the cluster, and set up the first lab unless its namespaces are there: what a learner did is kept.

    True when this call started the cluster.
    """
    with steps() as progress:
        started = await backend.start(progress, tied=True)
        labs = load_course().labs
        if labs and not await _is_set_up(backend, labs[0]):
            await start_state(backend, labs[0], progress)
    return started


async def _is_set_up(backend: Backend, lab: Lab) -> bool:
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        found = await client.list("namespaces")
    return set(lab.namespaces()) <= {item["metadata"]["name"] for item in found.items}


def _announce(settings: Settings) -> None:
    err.print(f"The course is open at [bold]{settings.entry_url}[/bold]")
    if settings.is_reachable:
        err.print(f"That address is yours alone. A workshop's learners get {settings.url}/join and its code.")
    err.print(f"In a second terminal: [bold]{own_command()} shell[/bold]\nCtrl-C here stops everything.")
