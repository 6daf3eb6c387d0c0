"""``meshdojo serve``: the site, for the learner on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Instance, opened

# What `web.settings` has too; importing that takes as long as the rest of the command line.
DEFAULT_PORT = 8484


def serve(
    up: Annotated[bool, typer.Option("--up", help="Start the cluster and set up the first lab too.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = DEFAULT_PORT,
    url: Annotated[
        str, typer.Option(envvar="MESHDOJO_URL", help="The address that browsers use, for workshops: http://HOST:PORT.")
    ] = "",
    database: Annotated[str, typer.Option(envvar="MESHDOJO_DATABASE", help="SQLAlchemy URL; empty: SQLite.")] = "",
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Serve the site until Ctrl-C, and print the address to open.

    Example: meshdojo serve --up
    """
    from meshdojo.cli.serving import serve as serve_site

    serve_site(opened(backend, name), name, host, port, url, database, up=up)
