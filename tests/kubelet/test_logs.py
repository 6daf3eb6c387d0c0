"""Log files: lines, partial lines, rotation, followers, listeners, and another kubelet."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from meshdojo.kubelet import logfile
from meshdojo.kubelet.logs import RunLog, read
from meshdojo.kubelet.outputs import DRAIN_SECONDS, Output
from meshdojo.kubernetes.node import LogOptions


async def text(path: Path, writer: RunLog | None = None, **options: object) -> str:
    return b"".join([line async for line in read(path, writer, LogOptions(**options))]).decode()  # type: ignore[arg-type]


class Printing:
    """A process' two pipes, with the zygote's side of them and the kubelet's."""

    def __init__(self, path: Path) -> None:
        self.log = RunLog(path)
        self.ends = {}
        streams = {}
        for stream in ("stdout", "stderr"):
            reading, self.ends[stream] = os.pipe()
            streams[reading] = stream
        self.output = Output(path, streams, os.dup(self.log.bell))
        self.log.handed_on()

    def print(self, data: bytes, stream: str = "stdout") -> None:
        """What the process prints, taken as the zygote takes it."""
        while data:
            data = data[os.write(self.ends[stream], data[:65536]) :]
            self.take()

    def take(self) -> None:
        for descriptor in list(self.output.descriptors):
            self.output.readable(descriptor)

    async def end(self) -> None:
        for descriptor in self.ends.values():
            os.close(descriptor)
        self.output.ended()
        self.take()
        await self.log.drained(30)
        assert self.log.closed


def test_lines_carry_time_stream_and_tag(tmp_path: Path) -> None:
    path = tmp_path / "0.log"

    async def scenario() -> None:
        printing = Printing(path)
        printing.print(b"one\ntw")
        printing.print(b"o\n")
        printing.print(b"oops\n", "stderr")
        printing.print(b"no end")
        await printing.end()
        fields = [line.split(b" ", 3) for line in path.read_bytes().splitlines()]
        assert sorted((stream, tag, rest) for _, stream, tag, rest in fields) == [
            (b"stderr", b"F", b"oops"),
            (b"stdout", b"F", b"no end"),
            (b"stdout", b"F", b"one"),
            (b"stdout", b"F", b"two"),
        ]
        assert all(len(moment) == 30 and moment.endswith(b"Z") for moment, *_ in fields)

    asyncio.run(scenario())


def test_long_lines_come_back_in_one_piece(tmp_path: Path) -> None:
    async def scenario() -> None:
        printing = Printing(tmp_path / "0.log")
        printing.print(b"x" * 100_000 + b"\ny\n")
        await printing.end()
        assert await text(tmp_path / "0.log") == "x" * 100_000 + "\ny\n"

    asyncio.run(scenario())


def test_followers_see_everything_once_also_across_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "MAXIMUM_BYTES", 2000)

    async def scenario() -> None:
        path = tmp_path / "0.log"
        printing = Printing(path)
        following = asyncio.create_task(text(path, printing.log, follow=True))
        expected = ""
        for number in range(300):
            line = f"line {number}\n"
            expected += line
            printing.print(line.encode())
            await asyncio.sleep(0)
        await printing.end()
        assert await asyncio.wait_for(following, 30) == expected
        assert path.with_suffix(".1").exists()
        assert path.stat().st_size < 3000

    asyncio.run(scenario())


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert asyncio.run(text(tmp_path / "none.log")) == ""


def test_the_tail_for_a_termination_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        printing = Printing(tmp_path / "0.log")
        printing.print(b"one\ntwo\n")
        await printing.end()
        assert printing.log.tail() == "one\ntwo\n"

    asyncio.run(scenario())


def test_what_still_prints_after_the_end_has_a_moment_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        printing = Printing(tmp_path / "0.log")
        assert printing.output.deadline == float("inf")
        printing.output.ended()
        assert printing.output.deadline <= asyncio.get_running_loop().time() + DRAIN_SECONDS
        os.write(printing.ends["stdout"], b"last words\n")
        printing.output.close()  # as at the deadline: another process still has the pipe
        await printing.log.drained(30)
        assert printing.log.closed
        assert await text(tmp_path / "0.log", printing.log, follow=True) == "last words\n"
        with pytest.raises(BrokenPipeError):
            os.write(printing.ends["stdout"], b"too late\n")

    asyncio.run(scenario())


def test_while_no_kubelet_is_there_nothing_is_lost_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "0.log"
        printing = Printing(path)
        printing.print(b"one\nhalf")
        printing.output.deafen()
        await printing.log.drained(30)  # a follower of the old kubelet ended with it
        lines = b"".join(b"in between %d\n" % number for number in range(20_000))  # more than a pipe holds
        printing.print(b" of it\n" + lines)
        printing.log = RunLog(path)
        printing.output.watch(os.dup(printing.log.bell))
        printing.log.handed_on()
        following = asyncio.create_task(text(path, printing.log, follow=True))
        await asyncio.sleep(0)
        printing.print(b"after\n")
        await printing.end()
        assert await asyncio.wait_for(following, 30) == f"one\nhalf of it\n{lines.decode()}after\n"

    asyncio.run(scenario())


def test_a_bell_for_a_log_that_has_ended_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        printing = Printing(tmp_path / "0.log")
        await printing.end()
        late = RunLog(tmp_path / "0.log")
        printing.output.watch(os.dup(late.bell))
        late.handed_on()
        await late.drained(30)
        assert late.closed

    asyncio.run(scenario())


def test_listeners_get_what_comes_and_nobody_waits_for_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        printing = Printing(tmp_path / "0.log")
        printing.print(b"before\n")
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        printing.output.listen({"stdout": out_end, "stderr": err_end})
        printing.print(b"out\n")
        printing.print(b"err\n", "stderr")
        assert os.read(out, 100) == b"out\n"
        assert os.read(err, 100) == b"err\n"
        printing.print(b"x" * 200_000 + b"\n")  # more than a pipe holds, and nobody reads
        os.close(err)
        printing.print(b"err\n", "stderr")  # this one has gone altogether
        printing.print(b"y\n")
        await printing.end()
        assert set(await asyncio.to_thread(_rest_of, out)) == {ord("x")}
        assert await text(tmp_path / "0.log") == "before\nout\nerr\n" + "x" * 200_000 + "\nerr\ny\n"

    asyncio.run(scenario())


def _rest_of(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def test_on_a_full_disk_output_is_lost_line_by_line_and_goes_on_afterwards(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "0.log"
        printing = Printing(path)
        printing.print(b"before\n")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Some bytes of the next line fit, and no more: as on a disk that becomes full in the middle of a write.
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            printing.print(b"lost, since there is no room for it\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        printing.print(b"after\n")
        await printing.end()
        assert await text(path) == "before\nafter\n"

    asyncio.run(scenario())
