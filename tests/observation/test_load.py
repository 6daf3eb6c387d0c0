"""The traffic switch: what may be wished, what is sent, and what is said when nothing can be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.observation.mesh import INSIDE, OUTSIDE, Mesh, until

from meshdojo.cluster.client import ObjectList
from meshdojo.cluster.errors import Unreachable
from meshdojo.cluster.streams import ExecResult
from meshdojo.observation import load
from meshdojo.observation.load import Load, LoadError, Wish, address_of, pod_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"rate": 0}, "0 requests a second"),
        ({"rate": 51}, "allowed are up to 50"),
        ({"path": "api"}, "must begin with '/'"),
        ({"path": "/a b"}, "no spaces"),
        ({"path": "/" + "a" * 500}, "path"),
        ({"to": "fleet/web;rm"}, "NAMESPACE/NAME"),
        ({"headers": (("x y", "1"),)}, "header 'x y'"),
        ({"headers": (("x", "1\r\nhost: other"),)}, "a value in one line"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_words(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(LoadError, match=words.replace("(", r"\(")):
        Wish(**wish)


def test_a_service_is_asked_from_inside_and_the_gateway_from_outside() -> None:
    assert (Wish().place, Wish(to="fleet/web").place) == ("outside", "inside")
    assert Wish(to="fleet/web", path="/version").url == "http://web.fleet/version"
    assert address_of("fleet/web:8080") == "http://web.fleet:8080"
    assert address_of("fleet/web:80") == "http://web.fleet"


class Spells:
    """Runs of the probe that end when they are told to."""

    def __init__(self) -> None:
        self.going = 0
        self.end = asyncio.Event()

    async def __call__(self, _command: list[str]) -> ExecResult:
        self.going += 1
        try:
            await self.end.wait()
            self.end.clear()
        finally:
            self.going -= 1
        return ExecResult(0, b"", b"")


async def test_it_is_sent_on_and_on_and_what_is_wished_later_comes_next() -> None:
    mesh, spells = Mesh(), Spells()
    mesh.on_exec = spells
    switch = Load(mesh)  # type: ignore[arg-type]
    switch.on(Wish(rate=20, headers=(("x-preview", "yes"),)))
    await until(lambda: spells.going == 1)
    namespace, command = mesh.ran[0]
    assert namespace == OUTSIDE
    assert command[:4] == ["python", "-m", "probe", "steady"]
    assert command[-4:] == ["--seconds", "5", "--header", "x-preview=yes"]
    assert command[command.index("--rate") + 1] == "20"
    switch.on(Wish(to="fleet/web", path="/version"))
    assert len(mesh.ran) == 1  # one spell at a time
    spells.end.set()
    await until(lambda: len(mesh.ran) == 2)
    namespace, command = mesh.ran[1]
    assert namespace == INSIDE
    assert command[command.index("--url") + 1] == "http://web.fleet/version"
    await switch.off()
    assert (spells.going, switch.wish, switch.problem) == (0, None, "")
    switch.on(Wish())  # and on again
    await until(lambda: spells.going == 1)
    await switch.close()
    assert spells.going == 0


async def test_it_says_why_nothing_is_sent_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "RETRY_SECONDS", 0.0)
    mesh, spells = Mesh(), Spells()
    troubles: list[ExecResult | Exception] = [
        ExecResult(1, b"", b"Traceback\nthe name does not resolve\n"),
        Unreachable("the API server does not answer"),
    ]
    said: list[str] = []

    async def answer(command: list[str]) -> ExecResult:
        said.append(switch.problem)
        if not troubles:
            return await spells(command)
        trouble = troubles.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    mesh.on_exec = answer
    switch = Load(mesh)  # type: ignore[arg-type]
    switch.on(Wish())
    await until(lambda: spells.going == 1)
    assert said == ["", "the probe failed: the name does not resolve", "the API server does not answer"]
    spells.end.set()
    await until(lambda: len(said) == 4)
    assert switch.problem == ""  # it goes again
    await switch.off()


async def test_a_pod_that_ends_is_no_probe() -> None:
    class Empty:
        async def list(self, *_: Any, **__: Any) -> ObjectList:
            going = {"metadata": {"name": "a", "deletionTimestamp": "now"}, "status": {"phase": "Running"}}
            coming = {"metadata": {"name": "b"}, "status": {"phase": "Pending"}}
            return ObjectList([going, coming], "1")

    with pytest.raises(LoadError, match="no probe in namespace meshdojo-outside"):
        await pod_of(Empty(), "outside")  # type: ignore[arg-type]
