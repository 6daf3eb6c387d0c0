"""Log files: lines, partial lines, rotation, followers."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest

from meshdojo.kubelet import logs
from meshdojo.kubelet.logs import LogWriter, read
from meshdojo.kubernetes.node import LogOptions


async def text(path: Path, writer: LogWriter | None = None, **options: object) -> str:
    return b"".join([line async for line in read(path, writer, LogOptions(**options))]).decode()  # type: ignore[arg-type]


class Output:
    """A process' two pipes."""

    def __init__(self, path: Path) -> None:
        self.writer = LogWriter(path)
        self._ends = {}
        for stream in ("stdout", "stderr"):
            reading, self._ends[stream] = os.pipe()
            self.writer.attach(reading, stream)

    async def write(self, data: bytes, stream: str = "stdout") -> None:
        await asyncio.to_thread(_write, self._ends[stream], data)

    async def end(self) -> None:
        for descriptor in self._ends.values():
            os.close(descriptor)
        await self.writer.drained(30)
        self.writer.close()


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def test_lines_carry_time_stream_and_tag(tmp_path: Path) -> None:
    path = tmp_path / "0.log"

    async def scenario() -> None:
        output = Output(path)
        await output.write(b"one\ntw")
        await output.write(b"o\n")
        await output.write(b"oops\n", "stderr")
        await output.write(b"no end")
        await output.end()
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
        output = Output(tmp_path / "0.log")
        await output.write(b"x" * 100_000 + b"\ny\n")
        await output.end()
        assert await text(tmp_path / "0.log") == "x" * 100_000 + "\ny\n"

    asyncio.run(scenario())


def test_followers_see_everything_once_also_across_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAXIMUM_BYTES", 2000)

    async def scenario() -> None:
        path = tmp_path / "0.log"
        output = Output(path)
        following = asyncio.create_task(text(path, output.writer, follow=True))
        expected = ""
        for number in range(300):
            line = f"line {number}\n"
            expected += line
            await output.write(line.encode())
        await output.end()
        assert await asyncio.wait_for(following, 30) == expected
        assert path.with_suffix(".1").exists()
        assert path.stat().st_size < 3000

    asyncio.run(scenario())


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert asyncio.run(text(tmp_path / "none.log")) == ""


def test_the_tail_for_a_termination_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        output = Output(tmp_path / "0.log")
        await output.write(b"one\ntwo\n")
        await output.end()
        assert output.writer.tail() == "one\ntwo\n"

    asyncio.run(scenario())


def test_on_a_full_disk_output_is_lost_line_by_line_and_goes_on_afterwards(tmp_path: Path) -> None:
    async def scenario() -> None:
        writer = LogWriter(tmp_path / "0.log")
        reading, writing = os.pipe()
        writer.attach(reading, "stdout")
        os.write(writing, b"before\n")
        await _until_written(writer, b"before")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Some bytes of the next line fit, and no more: as on a disk that becomes full in the middle of a write.
        resource.setrlimit(resource.RLIMIT_FSIZE, (writer.path.stat().st_size + 20, hard))
        try:
            os.write(writing, b"lost, since there is no room for it\n")
            change = writer.change
            async with asyncio.timeout(10):
                await change.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        os.write(writing, b"after\n")
        await _until_written(writer, b"after")
        os.close(writing)
        writer.close()
        lines = [line async for line in read(writer.path, None, LogOptions())]
        assert b"".join(lines) == b"before\nafter\n"

    asyncio.run(scenario())


async def _until_written(writer: LogWriter, text: bytes) -> None:
    async with asyncio.timeout(10):
        while True:
            change = writer.change
            if text in writer.path.read_bytes():
                return
            await change.wait()
