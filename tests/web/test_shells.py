"""Real shells at pseudo-terminals, without the web."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
from tests.web.samples import eventually, lab_shells

from meshdojo.errors import UserError
from meshdojo.web.local.shells import MOST_SHELLS, LocalShells
from meshdojo.web.settings import Settings
from meshdojo.web.shells import SLACK, Shell, ShellError

pytestmark = pytest.mark.anyio
ME = 1


@pytest.fixture
async def shells(settings: Settings) -> AsyncIterator[LocalShells]:
    shells = lab_shells(settings)
    yield shells
    await shells.close()


async def printed(shell: Shell, pattern: str, place: int = 0) -> re.Match[str]:
    """Wait until the shell has printed something that matches, from `place` on."""
    seen = b""
    async with asyncio.timeout(60):
        with shell.watched(place) as follower:
            async for chunk in shell.follow(follower):
                seen += chunk.data
                if found := re.search(pattern, seen.decode(errors="replace")):
                    return found
    raise AssertionError(f"the shell ended; it had printed {seen!r}")


async def prompt(shell: Shell) -> int:
    """Wait for the first prompt; the place after it."""
    await printed(shell, r"\$ |# ")
    return shell.scrollback.end


async def test_a_command_runs_in_the_labs_environment(shells: LocalShells, settings: Settings) -> None:
    shell = await shells.open(ME, "split", 100, 30)
    await prompt(shell)
    shell.write(b'echo "[$GATEWAY_URL][$MESHDOJO_LAB][$(tput cols)][$PWD]"; tty > /dev/null && echo has-a-tty\r')
    found = await printed(shell, r"\[127\.64\.0\.1:31380\]\[split\]\[100\]\[(.+)\]")
    assert found[1] == str(settings.state_directory / "work" / "split")
    await printed(shell, "[\r\n]has-a-tty")


async def test_it_is_told_when_the_window_changes(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    shell.resize(132, 43)
    shell.write(b"echo [$(stty size)]\r")
    await printed(shell, r"\[43 132\]", place)


async def test_it_lives_on_when_nobody_watches(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    shell.write(b"echo be''fore\r")
    await printed(shell, "[\r\n]before", place)
    seen = shell.scrollback.end
    shell.write(b"echo mean''while\r")
    # Somebody who watched up to `seen` comes back.
    found = await printed(shell, "(?s)(.*)[\r\n]meanwhile", seen)
    assert "before" not in found[1]


async def test_it_knows_what_has_the_terminal(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    assert shell.foreground() == ""
    shell.write(b"echo go; cat\r")
    await printed(shell, "[\r\n]go", place)
    await eventually(lambda: shell.foreground() == "cat")
    shell.write(b"\x03")
    await eventually(lambda: not shell.foreground())


async def test_an_end_is_an_end(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    await prompt(shell)
    shell.write(b"exit 3\r")
    with shell.watched() as follower:
        async with asyncio.timeout(60):
            async for _ in shell.follow(follower):
                pass
    assert (shell.running, shell.exit_code) == (False, 3)
    shell.write(b"nobody hears\r")
    shell.resize(10, 10)
    assert shell.foreground() == ""


async def test_closing_ends_what_it_started(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    shell.write(b"sleep 1000 & echo started $!\r")
    child = psutil.Process(int((await printed(shell, r"[\r\n]started (\d+)\r", place))[1]))
    await shells.discard(shell)
    assert shells.of(ME, "split") == []
    await eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_a_shell_that_ignores_the_hangup_is_ended_too(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    shell.write(b"trap '' HUP; echo deaf $$\r")
    await printed(shell, r"[\r\n]deaf (\d+)\r", place)
    await shells.discard(shell)
    assert shell.exit_code == -signal.SIGKILL


async def test_a_flood_waits_for_whoever_reads_it(shells: LocalShells) -> None:
    shell = await shells.open(ME, "split", 80, 24)
    place = await prompt(shell)
    with shell.watched(place) as follower:
        shell.write(b"head -c 5000000 /dev/zero | tr '\\0' 'x'; echo do''ne\r")
        async with asyncio.timeout(60):
            while not shell.behind:
                await follower.news.wait()
                follower.news.clear()
        assert shell.scrollback.end - place < SLACK + 200_000  # it does not run ahead
        total = b""
        async with asyncio.timeout(60):
            async for chunk in shell.follow(follower):
                total += chunk.data
                if b"done" in total[-200:]:
                    break
    assert total.count(b"x") >= 5_000_000  # and nothing was left out


async def test_shells_belong_to_a_learner_and_a_lab(shells: LocalShells) -> None:
    first, second = await shells.open(ME, "split", 80, 24), await shells.open(ME, "split", 80, 24)
    other = await shells.open(ME, "next", 80, 24)
    assert [shell.name for shell in (first, second, other)] == ["Terminal 1", "Terminal 2", "Terminal 1"]
    assert list(shells.of(ME, "split")) == [first, second]
    assert shells.find(ME, first.id) is first
    assert shells.find(2, first.id) is None
    await shells.discard(first)
    assert (await shells.open(ME, "split", 80, 24)).name == "Terminal 1"  # the name is free again
    for _ in range(MOST_SHELLS - 3):
        await shells.open(ME, "split", 80, 24)
    with pytest.raises(ShellError, match="terminals are open"):
        await shells.open(ME, "split", 80, 24)


async def test_without_a_mesh_there_is_a_shell_that_says_so(settings: Settings) -> None:
    async def environment() -> dict[str, str]:
        raise UserError("the cluster is not running")

    shells = LocalShells(settings.state_directory, environment, "meshdojo up --detach")
    try:
        shell = await shells.open(ME, "split", 80, 24)
        await printed(shell, r"No mesh is running. Start it with\r\n  meshdojo up --detach")
        await printed(shell, r"\$ |# ")
    finally:
        await shells.close()


async def test_the_gateways_address_reaches_shells_that_are_open(settings: Settings) -> None:
    found = {"PATH": os.environ["PATH"], "HOME": str(settings.state_directory)}

    async def environment() -> dict[str, str]:
        return found

    shells = LocalShells(settings.state_directory, environment, "meshdojo up")
    try:
        shell = await shells.open(ME, "split", 80, 24)
        place = await prompt(shell)
        found["GATEWAY_URL"] = "127.0.0.1:9"
        await shells.refresh()
        shell.write(b"\r")
        shell.write(b'echo "[$GATEWAY_URL]"\r')
        await printed(shell, r"\[127\.0\.0\.1:9\]", place)
    finally:
        await shells.close()
