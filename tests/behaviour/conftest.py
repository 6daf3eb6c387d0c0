"""One namespace with a server and clients for all tests of this folder, on the embedded mesh and on the real Istio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.behaviour.world import World

from meshdojo.backends.base import Backend


@pytest.fixture(scope="package")
def shared(backend: Backend) -> Iterator[World]:
    """The namespace with its pods, made once. Tests ask for `world`, which leaves it as it was."""
    world = World(backend)
    try:
        world.set_up()
        yield world
    finally:
        world.tear_down()


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shared namespace; what a test applied is deleted after it."""
    yield shared
    shared.undo()
