"""The zygote's standby: takes its place when it is killed, and is left behind by nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.kubelet.test_adoption import SECONDS, eventually, there
from tests.kubelet.test_zygote import ENVIRONMENT, read_all

from meshdojo.kubelet import spawn
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubelet.processes import MARK, standby_file, zygote_of
from meshdojo.kubelet.spawn import ProcessSpec, Zygote

# A module that is being imported until a file is there.
GATE = """
import pathlib, time
folder = pathlib.Path(__file__).parent
(folder / "reached").touch()
while not (folder / "open").exists():
    time.sleep(0.01)
"""


class Node:
    """A zygote as a kubelet has it, whose death is seen; its lifeline is held here as a keeper holds it."""

    def __init__(self, directory: Path, later: tuple[str, ...] = ()) -> None:
        self.later = later
        self.file = directory / "processes"
        self.lifeline = Lifeline.make()
        self.died = asyncio.Event()
        self.zygote = self.another()

    def another(self) -> Zygote:
        return Zygote(self.file, preload=(), later=self.later, died=self.died.set, lifeline=self.lifeline)

    async def take_over(self) -> None:
        """The kubelet has died, and another starts."""
        self.zygote = self.another()
        await self.zygote.start()

    async def standby(self) -> int:
        """The pid of the zygote's standby, once it is there, and told from the zygote."""
        found = await eventually(lambda: zygote_of(standby_file(self.file)))
        assert isinstance(found, int)
        mark = f"{MARK}={standby_file(self.file).read_text().splitlines()[0]}"
        await eventually(lambda: mark in Path(f"/proc/{found}/environ").read_text().split("\0"))
        return found

    async def killed(self) -> None:
        """Kill the zygote; return when its end was seen."""
        self.died.clear()
        assert self.zygote.pid is not None
        os.kill(self.zygote.pid, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            await self.died.wait()

    async def says(self, text: str) -> str:
        """What a program prints that the zygote starts and that says this."""
        return await self.prints(repr(text))

    async def prints(self, expression: str) -> str:
        """What a program prints that the zygote starts, of this expression."""
        reading, writing = os.pipe()
        try:
            spec = ProcessSpec(("python", "-c", f"print({expression})"), ENVIRONMENT, "/")
            spawned = await self.zygote.spawn(spec, 0, writing, 2)
        finally:
            os.close(writing)
        assert await spawned.wait() == 0
        return await asyncio.to_thread(read_all, reading)


@asynccontextmanager
async def node(directory: Path, later: tuple[str, ...] = ()) -> AsyncIterator[Node]:
    it = Node(directory, later)
    await it.zygote.start()
    try:
        yield it
    finally:
        await it.zygote.stop()
        it.lifeline.close()


async def turns() -> None:
    """Let all that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_takes_the_place_of_one_that_is_killed_and_has_a_standby_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            for _ in range(3):
                standby = await it.standby()
                assert standby != it.zygote.pid
                await it.killed()
                await it.zygote.start()
                assert it.zygote.pid == standby == zygote_of(it.file)
                assert not it.zygote.taken_over
                assert await it.says("here") == "here\n"
            last = [it.zygote.pid or 0, await it.standby()]
        await eventually(lambda: not any(map(there, last)))

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_who_waits_for_a_zygote_is_not_put_off_by_one_that_dies_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            await it.standby()
            await it.killed()
            asking = asyncio.create_task(it.zygote.spawn(ProcessSpec(("true",), ENVIRONMENT, "/"), 0, 1, 2))
            await turns()
            it.zygote._up.set()  # one comes, and is gone before anybody has heard of it
            it.zygote._up.clear()
            await turns()
            assert not asking.done()
            await it.zygote.start()
            assert await (await asking).wait() == 0

    asyncio.run(scenario())


def test_a_main_process_that_was_asked_for_when_it_died_is_started_by_its_standby(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            await it.standby()
            assert it.zygote.pid is not None
            os.kill(it.zygote.pid, signal.SIGSTOP)  # it shall not answer any more
            asking = {
                main: asyncio.create_task(
                    it.zygote.spawn(ProcessSpec(("true",), ENVIRONMENT, "/", container="one", main=main), 0, 1, 2)
                )
                for main in (True, False)
            }
            await asyncio.sleep(0)
            await it.killed()
            await it.zygote.start()
            assert await (await asking[True]).wait() == 0
            with pytest.raises(spawn.StarterLost):  # a command in a container, which has ended meanwhile
                await asking[False]

    asyncio.run(scenario())


def test_another_kubelet_finds_it_too(tmp_path: Path) -> None:
    """The cluster process and the zygote die together."""

    async def scenario() -> None:
        async with node(tmp_path) as it:
            standby = await it.standby()
            await it.killed()
            await it.take_over()
            assert it.zygote.pid == standby
            assert await it.says("again") == "again\n"

    asyncio.run(scenario())


def test_after_a_call_of_a_kubelet_that_died_it_is_called_again_or_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            standby = await it.standby()
            await it.killed()
            ours, theirs = socket.socketpair()
            it.lifeline.call(theirs)
            ours.close()
            theirs.close()
            await it.take_over()
            if it.zygote.pid != standby:
                await eventually(lambda: not there(standby))
            assert await it.says("again") == "again\n"

    asyncio.run(scenario())


def test_it_knows_what_was_imported_for_a_program_that_could_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for before there was time to import: the standby of before then makes room for another."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "gate.py").write_text(GATE)
    (modules / "wanted.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(modules))

    async def scenario() -> None:
        async with node(tmp_path, later=("gate", "wanted")) as it:
            await eventually((modules / "reached").exists)
            first = zygote_of(standby_file(it.file))
            assert first is not None
            spec = ProcessSpec(("python", "-m", "wanted"), ENVIRONMENT, "/", path=[str(modules)])
            asking = asyncio.create_task(it.zygote.spawn(spec, 0, 1, 2))
            await asyncio.sleep(0)  # the request has left
            (modules / "open").touch()
            assert await (await asking).wait() == 0
            await eventually(lambda: zygote_of(standby_file(it.file)) not in (None, first))
            await it.standby()
            await it.killed()
            await it.zygote.start()
            assert await it.prints("__import__('sys').modules.get('wanted') is not None") == "True\n"

    asyncio.run(scenario())


def test_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            first = await it.standby()
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: zygote_of(standby_file(it.file)) not in (None, first))
            assert await it.says("unmoved") == "unmoved\n"

    asyncio.run(scenario())


def test_when_both_are_killed_a_new_one_is_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            both = {it.zygote.pid, await it.standby()}
            assert it.zygote.pid is not None
            os.kill(it.zygote.pid, signal.SIGSTOP)  # it shall not make another
            os.kill((both - {it.zygote.pid}).pop() or 0, signal.SIGKILL)
            await it.killed()
            await it.zygote.start()
            assert it.zygote.pid not in both
            assert await it.says("new") == "new\n"

    asyncio.run(scenario())


def test_one_that_does_not_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "TAKE_OVER_SECONDS", 0.1)

    async def scenario() -> None:
        async with node(tmp_path) as it:
            standby = await it.standby()
            os.kill(standby, signal.SIGSTOP)
            await it.killed()
            await it.zygote.start()
            assert it.zygote.pid != standby
            await eventually(lambda: not there(standby))
            assert await it.says("new") == "new\n"

    asyncio.run(scenario())


def test_it_ends_with_the_lifeline(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node(tmp_path) as it:
            standby = await it.standby()
            zygote = it.zygote.pid
            assert zygote is not None
            os.kill(zygote, signal.SIGSTOP)  # so that nobody else ends it
            it.lifeline.close()
            await eventually(lambda: not there(standby))
            os.kill(zygote, signal.SIGCONT)
            await eventually(lambda: not there(zygote))

    asyncio.run(scenario())


def test_what_is_shown_of_it_tells_them_apart(tmp_path: Path) -> None:
    def command(pid: int) -> list[str]:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split()

    async def scenario() -> None:
        async with node(tmp_path) as it:
            standby = await it.standby()
            await eventually(lambda: command(standby)[-1] == "standby")
            await it.killed()
            await it.zygote.start()
            assert command(standby)[-1] == "meshdojo.kubelet.zygote"

    asyncio.run(scenario())
