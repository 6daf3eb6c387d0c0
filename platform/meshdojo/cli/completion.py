"""What the shell offers at the Tab key for words that are names: labs, tasks, backends, environments, images.

Each function gets what is typed so far and returns what can stand there. A shell must not be kept waiting, nor told of
errors: nothing here reaches a cluster, and where a name cannot be had there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import typer

from meshdojo.backends.base import BACKENDS
from meshdojo.errors import UserError

Names = Callable[[typer.Context], Iterable[str]]


def completes(names: Names) -> Callable[[typer.Context, str], list[str]]:
    """What typer asks: the names that begin with what was typed."""

    @wraps(names)
    def begun(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return [name for name in names(ctx) if name.startswith(incomplete)]
        except (UserError, OSError):
            return []

    # typer goes by the annotations, and those of `names` are others.
    begun.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del begun.__wrapped__
    return begun


@completes
def backends(ctx: typer.Context) -> Iterable[str]:
    """The names of all backends."""
    return BACKENDS


@completes
def labs(ctx: typer.Context) -> Iterable[str]:
    """The labs, by the names of their folders: reading the chapters would take a second."""
    from meshdojo.course.content import content_root
    from meshdojo.course.lab import BASE

    folders = sorted(path.name for path in (content_root() / "labs").iterdir() if path.is_dir())
    given = _given(ctx, "labs")
    return (lab for name in folders if name != BASE and (lab := name.partition("-")[2]) not in given)


@completes
def tasks(ctx: typer.Context) -> Iterable[str]:
    """The tasks of the lab that was named before."""
    from meshdojo.course.course import load_course

    return (task.id for task in load_course().lab(str(ctx.params.get("lab"))).tasks)


@completes
def instances(ctx: typer.Context) -> Iterable[str]:
    """The environments that were made with this backend; for `context` the contexts of the kubeconfig."""
    from meshdojo.embedded import directories

    backend = ctx.params.get("backend") or "embedded"
    if backend == "context":
        yield from _contexts()
        return
    root = directories.state_root()
    own = "" if backend == "embedded" else f"{backend}-meshdojo"
    mark = "environment.json" if backend == "embedded" else "kubeconfig"
    for path in sorted(root.glob(f"{own}*/{mark}")):
        yield path.parent.name.removeprefix(own).removeprefix("-") or "default"


@completes
def images(ctx: typer.Context) -> Iterable[str]:
    """The images that the user added to the environment."""
    from meshdojo.embedded.environment import Environment
    from meshdojo.embedded.userimages import UserImages

    environment = Environment.named(str(ctx.params.get("name") or "default"))
    return (image.name for image in UserImages(environment.images).all())


def _contexts() -> Iterator[str]:
    import yaml

    from meshdojo.embedded import directories

    found = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    for file in found.split(os.pathsep):
        if Path(file).is_relative_to(directories.state_root()):
            continue
        try:
            config = yaml.safe_load(Path(file).read_text())
            yield from (str(one["name"]) for one in config["contexts"])
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            continue


def _given(ctx: typer.Context, parameter: str) -> tuple[Any, ...]:
    return tuple(ctx.params.get(parameter) or ())
