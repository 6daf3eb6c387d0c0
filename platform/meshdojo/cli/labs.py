"""``meshdojo labs``, ``check`` and ``reset``."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshdojo.cli import completion
from meshdojo.cli.console import EXIT_FAILED, err, out, run, steps
from meshdojo.cli.options import (
    DEFAULT_BACKEND,
    DEFAULT_INSTANCE,
    AsJson,
    BackendName,
    Confirm,
    Instance,
    confirmed,
    reached,
)

if TYPE_CHECKING:
    from meshdojo.course.lab import Lab

LabName = Annotated[
    str,
    typer.Argument(help="The lab, such as 'canary'; 'meshdojo labs' lists them.", autocompletion=completion.labs),
]


# Columns of a terminal.
_ROOM_FOR_FIGURES = 70


def labs(as_json: AsJson = False) -> None:
    """List the labs of the course, after reading them and the glossary. Names the first mistake in them.

    Example: meshdojo labs
    """
    from rich.table import Table

    from meshdojo.course.course import load_course
    from meshdojo.course.glossary import read_glossary

    course = load_course()
    read_glossary(course.folder)
    if as_json:
        out.print_json(json.dumps([_facts(lab) for lab in course.labs]))
        return
    table = Table(box=None)
    # The name is what one types: it is whole on the narrowest terminal.
    table.add_column("lab", no_wrap=True, min_width=max(len(lab.id) for lab in course.labs))
    figures = ("minutes", "difficulty", "tasks") if out.width >= _ROOM_FOR_FIGURES else ()
    for title in ("title", *figures):
        table.add_column(title)
    for lab in course.labs:
        cells = (lab.id, lab.title, str(lab.front.time), lab.front.difficulty, str(len(lab.tasks)))
        table.add_row(*cells[: 2 + len(figures)])
    out.print(table)


def _facts(lab: Lab) -> dict[str, Any]:
    return {"lab": lab.id, **lab.front.model_dump(), "tasks": [task.id for task in lab.tasks]}


def check(
    lab: LabName,
    task: Annotated[str, typer.Argument(help="Only this task.", autocompletion=completion.tasks)] = "",
    watching: Annotated[bool, typer.Option("--watch", help="Check again whenever the cluster changes.")] = False,
    site: Annotated[
        str, typer.Option(help="Have this site check it in its own mesh; MESHDOJO_TOKEN holds your personal token.")
    ] = "",
    as_json: AsJson = False,
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Judge a lab: what was seen, what was expected, and a hint. Exit code 1 when something is not done yet.

    Example: meshdojo check canary --watch
    """
    if watching and (site or as_json):
        raise typer.BadParameter(f"cannot go together with {'--site' if site else '--json'}", param_hint="--watch")
    if site:
        from meshdojo.cli.attending import check_on_site

        if code := run(check_on_site(site, lab, as_json)):
            raise typer.Exit(code)
        return
    from meshdojo.cli.attending import keep_for_workshop
    from meshdojo.cli.judging import check_always, check_once, other_lab
    from meshdojo.course.course import load_course

    chosen = load_course().lab(lab)
    tasks = [chosen.task(task)] if task else list(chosen.tasks)
    ids = [id for each in tasks for id in each.checks]
    cluster = reached(backend, name)
    if note := run(other_lab(cluster, chosen.id)):
        err.print(f"[yellow]note:[/yellow] {note}")
    if watching:
        run(check_always(cluster, ids))
        return
    keep = partial(keep_for_workshop, name, chosen.id, tasks)
    if code := run(check_once(cluster, ids, as_json, keep)):
        raise typer.Exit(code)


def reset(
    lab: LabName,
    hard: Annotated[bool, typer.Option("--hard", help="Make everything anew, also what does not differ.")] = False,
    confirm: Confirm = "",
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Put a lab back to its start: what differs from it is undone. Only namespaces that meshdojo made are touched.

    Example: meshdojo reset canary
    """
    from meshdojo.course.course import load_course
    from meshdojo.validation.setup import reset_lab

    chosen = load_course().lab(lab)
    cluster = confirmed(reached(backend, name), confirm)
    with steps() as progress:
        run(reset_lab(cluster, chosen, progress, hard=hard))
    err.print(f"Lab {chosen.id!r} is at its start.")


def diff(
    lab: LabName,
    as_json: AsJson = False,
    backend: BackendName = DEFAULT_BACKEND,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Show what differs from the start of a lab: what 'reset' would undo. Exit code 1 when something does.

    Example: meshdojo diff canary
    """
    from meshdojo.cli.judging import as_facts, show_differences
    from meshdojo.course.course import load_course
    from meshdojo.validation.setup import lab_differences

    chosen = load_course().lab(lab)
    found = run(lab_differences(reached(backend, name), chosen))
    if as_json:
        out.print_json(json.dumps([as_facts(one) for one in found]))
    else:
        show_differences(found)
    if found:
        raise typer.Exit(EXIT_FAILED)
    err.print(f"Lab {chosen.id!r} is as it was at its start.")


def chapter(
    lab: LabName,
    without_answers: Annotated[
        bool, typer.Option("--without-answers", help="Leave out hints, explanations and the quiz.")
    ] = False,
) -> None:
    """Print the chapter of a lab, as Markdown. Without answers it is what a blind solution is written from.

    Example: meshdojo chapter canary --without-answers
    """
    from meshdojo.course.answers import without_answers as stripped
    from meshdojo.course.course import load_course

    text = (load_course().lab(lab).folder / "lab.md").read_text(encoding="utf-8")
    print(stripped(text) if without_answers else text, end="")


def new_lab(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits, dashes, such as 'rate-limits'.")],
    number: Annotated[int | None, typer.Option(help="Of its folder, two digits; left out: after the last.")] = None,
) -> None:
    """Begin a lab: chapter, solutions, a check and its test, in this checkout.

    It reads, its check runs and fails, and 'meshdojo validate' stops with the file and line of everything that is
    still to be written (marked TODO). Once all of it is, the same command proves the lab on a cluster.

    Example: meshdojo new-lab rate-limits
    """
    from meshdojo.course.content import content_root
    from meshdojo.validation.newlab import new_lab as begin

    root = content_root()
    for path in begin(root, name, number):
        out.print(str(path.relative_to(root)), markup=False)
    err.print(f"What is still to be written: meshdojo validate {name}. How: docs/writing-labs.md", markup=False)
