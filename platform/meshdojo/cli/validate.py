"""``meshdojo validate``: the proof of labs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshdojo.cli.options import DEFAULT_BACKEND, DEFAULT_INSTANCE, BackendName, Instance, opened

ARTIFACTS = Path("artifacts")


def validate(
    labs: Annotated[list[str] | None, typer.Argument(help="The labs; none means all.")] = None,
    passes: Annotated[int, typer.Option(min=1, help="How often in a row.")] = 1,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    folder: Annotated[Path, typer.Option("--artifacts", help="Where to put what explains a failure.")] = ARTIFACTS,
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Prove labs: each task fails first, the chapter's own commands solve it, each wrong solution fails its check.

    Example: meshdojo validate canary --backend kind
    """
    from meshdojo.cli.proving import prove

    if code := prove(labs or [], opened(backend, name), passes, folder, junit_file):
        raise typer.Exit(code)
