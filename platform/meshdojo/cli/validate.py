"""``meshdojo validate``: the proof of labs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshdojo.cli import completion
from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Confirm, Instance, confirmed, opened

ARTIFACTS = Path("artifacts")


def validate(
    labs: Annotated[
        list[str] | None, typer.Argument(help="The labs; none means all.", autocompletion=completion.labs)
    ] = None,
    passes: Annotated[int, typer.Option(min=1, help="How often in a row.")] = 1,
    shuffle: Annotated[
        int | None, typer.Option(metavar="SEED", help="In an order that follows from this number, another each pass.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, max=16, help="Share the labs out over so many environments of their own (embedded, kind)."),
    ] = 1,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    folder: Annotated[Path, typer.Option("--artifacts", help="Where to put what explains a failure.")] = ARTIFACTS,
    confirm: Confirm = "",
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Prove labs: each task fails first, is solved as documented and otherwise, each wrong solution fails its check.

    What is set up in this environment is taken away.

    Example: meshdojo validate --passes 2 --shuffle 7
    """
    from meshdojo.cli.proving import Where, prove
    from meshdojo.validation.campaign import Plan

    confirmed(opened(backend, name), confirm)
    if code := prove(labs or [], Where(backend, name, jobs), Plan(passes, shuffle), folder, junit_file):
        raise typer.Exit(code)
