"""``meshdojo image``: programs of this machine as images of the embedded cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshdojo.cli import completion
from meshdojo.cli.console import err, out
from meshdojo.cli.options import DEFAULT_INSTANCE, AsJson, Instance

if TYPE_CHECKING:
    from meshdojo.embedded.userimages import UserImages
    from meshdojo.kubelet.images import Image

app = typer.Typer(
    help="Programs of this machine under names that manifests can use (embedded backend).\n\n"
    "Example: meshdojo image add shop/cart -- python cart.py",
    no_args_is_help=True,
)

ImageName = Annotated[str, typer.Argument(help="The name of the image, such as 'shop/cart'; any tag means the same.")]
OwnImage = Annotated[str, typer.Argument(help="The name of an image that was added.", autocompletion=completion.images)]


@app.command()
def add(
    image: ImageName,
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after '--'.")],
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE, for its environment.")] = None,
    name: Instance = DEFAULT_INSTANCE,
) -> None:
    """Let pods run a program of this machine by the name of an image. A second 'add' replaces the first.

    Python programs are captured by the mesh as the course's own are. Other programs run, but their connections do not
    go through a sidecar.

    Example: meshdojo image add shop/cart -- python cart.py --port 8080
    """
    from meshdojo.embedded.userimages import local_program
    from meshdojo.kubelet.runner.programs import is_python

    variables = dict(_variable(text) for text in env or ())
    added = local_program(image, command, variables, Path.cwd())
    _images(name).add(added)
    err.print(f"Pods can now use the image {added.name!r}: {' '.join(added.command)}", markup=False)
    if any(added.name in one.names for one in _built_in()):
        err.print("It takes the place of the one that is always there, until 'meshdojo image remove'.")
    if not is_python(added.command[0]):
        err.print("It is no Python program, so the mesh does not capture its connections.")


def _variable(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--env")
    return key, value


@app.command(name="list")
def list_images(as_json: AsJson = False, name: Instance = DEFAULT_INSTANCE) -> None:
    """List the images that were added, and those that are always there.

    Example: meshdojo image list
    """
    own = {one.name: " ".join(one.command) for one in _images(name).all()}
    built_in = [image.names[0] for image in _built_in()]
    if as_json:
        out.print_json(json.dumps({"added": own, "built in": built_in}))
        return
    for image, command in own.items():
        out.print(f"{image}: {command}", markup=False)
    for image in built_in:
        out.print(image, markup=False)


@app.command()
def remove(image: OwnImage, name: Instance = DEFAULT_INSTANCE) -> None:
    """Forget an image that was added. Pods that run it go on.

    Example: meshdojo image remove shop/cart
    """
    _images(name).remove(image)
    err.print(f"The image {image!r} is gone.", markup=False)


def _built_in() -> list[Image]:
    from meshdojo.course.content import content_root
    from meshdojo.embedded.images import known_images

    return known_images(content_root() / "apps")


def _images(name: str) -> UserImages:
    from meshdojo.embedded import directories
    from meshdojo.embedded.environment import Environment
    from meshdojo.embedded.userimages import UserImages

    environment = Environment.named(name)
    directories.private(environment.state)
    return UserImages(environment.images)
