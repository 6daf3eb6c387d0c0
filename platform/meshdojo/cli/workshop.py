"""``meshdojo join`` and ``leave``: take part in a workshop elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from meshdojo.cli.console import err, run
from meshdojo.cli.options import DEFAULT_INSTANCE, Instance


def join(
    site: Annotated[str, typer.Argument(help="The workshop's link or address.")],
    code: Annotated[str, typer.Argument(help="Its code, if the link has none.")] = "",
    as_name: Annotated[str, typer.Option("--as", help="The name under which your instructor sees you.")] = "",
    share_screen: Annotated[
        bool, typer.Option("--share-screen", help="Let your instructor look at your terminals (read only).")
    ] = False,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Join a workshop: your meshdojo reports to it what your checks find, as long as 'meshdojo serve' runs.

    Example: meshdojo join https://dojo.example KX4T-9TQB --as Ann
    """
    from meshdojo.cli.attending import join_workshop

    member = run(join_workshop(name, site, code, as_name, share_screen))
    err.print(f"You are in [bold]{member.workshop}[/bold] as {member.name}. Labs: {', '.join(member.labs)}.")
    shared = "They can look at your terminals; you are told when they do." if member.screen else ""
    err.print(f"Your instructor sees what your checks find, and no more. {shared}".strip())
    err.print("It is reported while 'meshdojo serve' runs. 'meshdojo leave' ends it.")


def leave(
    forget: Annotated[bool, typer.Option("--forget", help="Have the workshop's site delete what it keeps.")] = False,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Leave the workshop.

    Example: meshdojo leave --forget
    """
    from meshdojo.cli.attending import leave_workshop

    title = run(leave_workshop(name, forget))
    err.print(f"You have left {title!r}." if title else "You are in no workshop.", markup=False)
