"""The zygote: starts, ends, and what is left when somebody is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshdojo.kubelet.processes import kill_leftovers, start_time
from meshdojo.kubelet.spawn import ProcessSpec, Spawned, SpawnError, Zygote

SECONDS = 30
ENVIRONMENT = {"PATH": os.defpath}
# A cluster process in miniature: two containers, one of which has a child in a session of its own.
PARENT = """
import asyncio, os, sys
from pathlib import Path
from meshdojo.kubelet.spawn import ProcessSpec, Zygote

CHILD = '''
import subprocess, time
print(subprocess.Popen(["setsid", "sleep", "1000"]).pid, flush=True)
time.sleep(1000)
'''

async def main():
    zygote = Zygote(Path(sys.argv[1]), preload=())
    await zygote.start()
    reading, writing = os.pipe()
    environment = {"PATH": os.defpath}
    python = await zygote.spawn(ProcessSpec(["python", "-c", CHILD], environment, "/"), 0, writing, 2)
    sleep = await zygote.spawn(ProcessSpec(["sleep", "1000"], environment, "/"), 0, 1, 2)
    grandchild = int(await asyncio.to_thread(os.read, reading, 100))
    print(zygote.pid, python.pid, sleep.pid, grandchild, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@asynccontextmanager
async def zygote(directory: Path) -> AsyncIterator[Zygote]:
    running = Zygote(directory / "processes", preload=())
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def run(zygote: Zygote, *argv: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """(exit code, output)."""
    reading, writing = os.pipe()
    stdin = os.open(os.devnull, os.O_RDONLY)
    try:
        spawned = await zygote.spawn(ProcessSpec(argv, {**ENVIRONMENT, **(env or {})}, "/"), stdin, writing, writing)
    finally:
        os.close(writing)
        os.close(stdin)
    return await spawned.wait(), await asyncio.to_thread(read_all, reading)


def read_all(descriptor: int) -> str:
    with open(descriptor) as file:
        return file.read()


def gone(pid: int, started: int | None) -> bool:
    """Whether the process has ended (a zombie has)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return True
    return state == "Z" or start_time(pid) != started


def wait_until_gone(processes: dict[int, int | None]) -> None:
    deadline = time.monotonic() + SECONDS
    while left := [pid for pid, started in processes.items() if not gone(pid, started)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("sh", "-c", "echo out; exit 3"), (3, "out\n")),
        (("python", "-c", "import sys; print(sys.argv); sys.exit(4)", "a"), (4, "['-c', 'a']\n")),
        (("python3", "-c", "import sys; sys.exit('no')"), (1, "no\n")),
        (("python3", "-c", "import os; os.kill(os.getpid(), 9)"), (137, "")),
        (("python3", "-m", "nosuch"), (1, f"{sys.executable}: No module named nosuch\n")),
        (("python3", "-c", "import atexit; atexit.register(print, 'end')"), (0, "end\n")),
        (("python3", "-c", "import threading as t; t.Timer(.01, print, ['late']).start()"), (0, "late\n")),
        (("python3", "-c", "print(__name__)"), (0, "__main__\n")),
        (("nosuch",), (127, "nosuch: not found\n")),
        (("/etc",), (126, "/etc: Permission denied\n")),
    ],
)
def test_programs(tmp_path: Path, argv: tuple[str, ...], expected: tuple[int, str]) -> None:
    async def scenario() -> None:
        async with zygote(tmp_path) as it:
            assert await run(it, *argv) == expected

    asyncio.run(scenario())


def test_an_exception_is_reported_without_our_own_frames(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with zygote(tmp_path) as it:
            code, text = await run(it, "python", "-c", "1/0")
            assert code == 1
            assert text.splitlines() == [
                "Traceback (most recent call last):",
                '  File "<string>", line 1, in <module>',
                "ZeroDivisionError: division by zero",
            ]

    asyncio.run(scenario())


def test_scripts_and_modules_find_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("NAME = 'neighbour'\n")
    (tmp_path / "script.py").write_text("import sys, neighbour\nprint(neighbour.NAME, sys.argv[1:], __file__)\n")

    async def scenario() -> None:
        async with zygote(tmp_path) as it:
            script = str(tmp_path / "script.py")
            assert await run(it, "python", script, "x") == (0, f"neighbour ['x'] {script}\n")
            module = await run(it, "python", "-m", "script", env={"PYTHONPATH": str(tmp_path)})
            assert module == (0, f"neighbour [] {script}\n")

    asyncio.run(scenario())


def test_processes_start_in_clean_surroundings(tmp_path: Path) -> None:
    code = "import os; print(sorted(os.environ), os.getpid() == os.getsid(0), os.listdir('/proc/self/fd'))"

    async def scenario() -> None:
        async with zygote(tmp_path) as it:
            assert await run(it, "python", "-c", code) == (0, "['MESHDOJO_ZYGOTE', 'PATH'] True ['0', '1', '2', '3']\n")

    asyncio.run(scenario())


def test_when_a_main_process_ends_its_container_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with zygote(tmp_path) as it:

            async def start(*argv: str, main: bool) -> Spawned:
                return await it.spawn(ProcessSpec(argv, ENVIRONMENT, "/", container="pod/web", main=main), 0, 1, 2)

            main = await start("sleep", "1000", main=True)
            other = await start("sh", "-c", "sleep 1000 & sleep 1000", main=False)
            bystander = await it.spawn(ProcessSpec(("sleep", "1000"), ENVIRONMENT, "/", container="pod/b"), 0, 1, 2)
            main.signal(signal.SIGTERM)
            assert await asyncio.wait_for(main.wait(), SECONDS) == 143
            assert await asyncio.wait_for(other.wait(), SECONDS) == 137
            assert not bystander.exited.done()

    asyncio.run(scenario())


def test_a_stopped_zygote_starts_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with zygote(tmp_path) as it:
            await it.stop()
            with pytest.raises(SpawnError):
                await run(it, "true")
            await it.start()
            assert await run(it, "true") == (0, "")

    asyncio.run(scenario())


def test_the_processes_of_a_zygote_that_was_killed_count_as_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        died = asyncio.Event()
        it = Zygote(tmp_path / "processes", preload=(), died=died.set)
        await it.start()
        spawned = await it.spawn(ProcessSpec(("sleep", "1000"), ENVIRONMENT, "/"), 0, 1, 2)
        started = start_time(spawned.pid)
        assert it.pid is not None
        os.kill(it.pid, signal.SIGKILL)
        await asyncio.wait_for(died.wait(), SECONDS)
        assert await spawned.wait() == 137
        await asyncio.to_thread(wait_until_gone, {spawned.pid: started})
        await it.stop()

    asyncio.run(scenario())


def started_parent(directory: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A cluster process in miniature, and the pids: zygote, Python, sleep, grandchild."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory / "processes")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def test_nothing_is_left_after_a_kill_of_the_parent(tmp_path: Path) -> None:
    parent, pids = started_parent(tmp_path)
    with parent:
        processes = {pid: start_time(pid) for pid in pids}
        assert len(processes) == 4
        assert None not in processes.values()
        parent.kill()
        wait_until_gone(processes)


def test_the_next_start_cleans_up_when_parent_and_zygote_were_killed_together(tmp_path: Path) -> None:
    parent, pids = started_parent(tmp_path)
    with parent:
        processes = {pid: start_time(pid) for pid in pids}
        os.kill(parent.pid, signal.SIGSTOP)  # it shall not see the zygote's end
        os.kill(pids[0], signal.SIGKILL)
        parent.kill()
        wait_until_gone({pid: processes[pid] for pid in pids[:3]})
        assert not gone(pids[3], processes[pids[3]])  # a child of a child, in a session of its own
        assert pids[3] in kill_leftovers(tmp_path / "processes")
        wait_until_gone(processes)


def test_a_foreign_process_with_a_recorded_pid_is_not_touched(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as foreign:
        try:
            (tmp_path / "processes").write_text(f"{'0' * 32}\n{foreign.pid} 1\n1 1\nnonsense\n")
            assert kill_leftovers(tmp_path / "processes") == []
            assert foreign.poll() is None
        finally:
            foreign.kill()
