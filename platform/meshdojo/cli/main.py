"""The entry point of ``meshdojo``."""

from __future__ import annotations

import sys
import tempfile
import traceback
from typing import Annotated

import typer

from meshdojo.cli import diagnose, doctor, image, labs, serve, shell, up, validate, workshop
from meshdojo.cli.console import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE, err, legible, out
from meshdojo.errors import UsageError, UserError

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


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"meshdojo {version('meshdojo')}", markup=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of meshdojo.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every error becomes one message and an exit code, and none a traceback."""
    legible(sys.stdout, sys.stderr)
    try:
        # Whatever started it: completion goes by this name.
        app(prog_name="meshdojo")
    except UserError as error:
        _say(str(error))
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_ENVIRONMENT)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}")
        sys.exit(EXIT_ENVIRONMENT)
    except Exception as error:
        _say(f"{type(error).__name__}: {error}. That is a mistake in meshdojo. {_noted(error)}")
        sys.exit(EXIT_ENVIRONMENT)


def _say(text: str) -> None:
    from rich.markup import escape

    err.print(f"[red]error:[/red] {escape(text)}")


def _noted(error: Exception) -> str:
    """Where developers find what led to it: of no use on a learner's terminal."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="meshdojo-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return "Please report what you typed."
    return f"Please report it, with {file.name} and what 'meshdojo diagnose' collects."
