"""The entry point of ``meshdojo``."""

from __future__ import annotations

import sys

import typer

from meshdojo.cli import diagnose, doctor, image, labs, serve, shell, up, validate, workshop
from meshdojo.cli.console import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, err
from meshdojo.errors import UserError

app = typer.Typer(
    name="meshdojo",
    help="Istio labs that judge how your mesh really behaves, on a mesh that needs no Docker.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _command in (
    up.up,
    up.down,
    up.status,
    shell.shell,
    up.kubeconfig,
    labs.labs,
    labs.chapter,
    labs.check,
    labs.reset,
    labs.diff,
    labs.new_lab,
    validate.validate,
    serve.serve,
    doctor.doctor,
    diagnose.diagnose,
    workshop.join,
    workshop.leave,
):
    app.command()(_command)
app.add_typer(image.app, name="image")


def main() -> None:
    """Run the command line; every error that we know becomes one message and an exit code."""
    try:
        app()
    except UserError as error:
        err.print(f"[red]error:[/red] {_escaped(error)}")
        sys.exit(EXIT_ENVIRONMENT)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _escaped(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
