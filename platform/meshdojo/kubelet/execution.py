"""Commands in running containers: exec, attach, probes and hooks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from meshdojo.kubelet.input import Input, ready
from meshdojo.kubelet.runtime import CommandError, Runtime, command_line
from meshdojo.kubelet.spawn import ProcessSpec, Spawned, SpawnError
from meshdojo.kubernetes.node import Process

if TYPE_CHECKING:
    from meshdojo.kubelet.containers import Container

_CHUNK = 32 * 1024
_OUTPUT_LIMIT = 10 * 1024
_EXEC_ERROR = "OCI runtime exec failed: exec failed: unable to start container process: "


class ExecError(Exception):
    """A command cannot be started in a container. The text is the container runtime's."""


class Reading:
    """The reading end of a pipe or terminal, as an iterator of chunks."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def chunks(self) -> AsyncIterator[bytes]:
        """What comes, until the end. Closes the descriptor."""
        try:
            while data := await self._read():
                yield data
        finally:
            self.close()

    async def _read(self) -> bytes:
        while self._descriptor >= 0:
            try:
                return os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                await ready(self._descriptor, reading=True)
            except OSError:
                return b""  # a terminal whose last user has gone says EIO
        return b""

    def close(self) -> None:
        """Let go of the descriptor; nothing is read any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class ContainerProcess(Process):
    """A command in a container (`kubernetes.node.Process`)."""

    def __init__(self, spawned: Spawned, input: Input, stdout: int, stderr: int) -> None:
        self.spawned = spawned
        self._input = input
        self._stdout = Reading(stdout)
        self._stderr = Reading(stderr) if stderr >= 0 else None
        spawned.exited.add_done_callback(lambda _: input.close())

    async def write_stdin(self, data: bytes) -> None:
        await self._input.write(data)

    async def close_stdin(self) -> None:
        await self._input.end()

    def stdout(self) -> AsyncIterator[bytes]:
        return self._stdout.chunks()

    def stderr(self) -> AsyncIterator[bytes]:
        return self._stderr.chunks() if self._stderr is not None else _nothing()

    async def resize(self, width: int, height: int) -> None:
        self._input.resize(width, height)

    async def wait(self) -> int:
        return await self.spawned.wait()

    async def kill(self) -> None:
        """End it, as when the client has gone."""
        self.spawned.signal(signal.SIGKILL)
        await self.spawned.wait()
        self._stdout.close()
        if self._stderr is not None:
            self._stderr.close()


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk


async def start(
    runtime: Runtime, container: Container, command: list[str], *, stdin: bool, tty: bool
) -> ContainerProcess:
    """Start a command in a running container. Raises `ExecError` with the container runtime's words."""
    assert container.image is not None
    cwd = str(container.cwd)
    try:
        argv = command_line(command, container.image, container.environment, cwd)
    except CommandError as error:
        raise ExecError(_EXEC_ERROR + str(error)) from error
    environment = {**container.environment, **({"TERM": "xterm"} if tty else {})}
    spec = ProcessSpec(
        argv=argv, env=environment, cwd=cwd, path=container.image.path, container=container.identity, tty=tty
    )
    try:
        if tty:
            process = await _start_with_terminal(runtime, spec)
        else:
            process = await _start_with_pipes(runtime, spec, stdin)
        container.joined(process.spawned)
        return process
    except (SpawnError, OSError) as error:
        raise ExecError(_EXEC_ERROR + str(error)) from error


async def _start_with_terminal(runtime: Runtime, spec: ProcessSpec) -> ContainerProcess:
    ours, theirs = pty.openpty()
    try:
        spawned = await runtime.zygote.spawn(spec, theirs, theirs, theirs)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ContainerProcess(spawned, Input(os.dup(ours), terminal=True), ours, -1)


async def _start_with_pipes(runtime: Runtime, spec: ProcessSpec, stdin: bool) -> ContainerProcess:
    ours: list[int] = []
    with contextlib.ExitStack() as theirs:
        child_stdin, our_stdin = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), -1)
        theirs.callback(os.close, child_stdin)
        ours.append(our_stdin)
        ends = [child_stdin]
        for _ in ("stdout", "stderr"):
            reading, writing = os.pipe()
            theirs.callback(os.close, writing)
            ours.append(reading)
            ends.append(writing)
        try:
            spawned = await runtime.zygote.spawn(spec, *ends)
        except BaseException:
            for descriptor in ours:
                if descriptor >= 0:
                    os.close(descriptor)
            raise
    return ContainerProcess(spawned, Input(ours[0]), ours[1], ours[2])


async def run_command(runtime: Runtime, container: Container, command: list[str], seconds: float) -> tuple[int, str]:
    """Run to the end: (exit code, stdout and stderr, at most 10 KiB). Raises TimeoutError after `seconds`."""
    try:
        process = await start(runtime, container, command, stdin=False, tty=False)
    except ExecError as error:
        return 126, str(error)
    collected = bytearray()

    async def collect(chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            collected.extend(chunk[: _OUTPUT_LIMIT - len(collected)])

    try:
        async with asyncio.timeout(seconds):
            code = await process.wait()
            await asyncio.gather(collect(process.stdout()), collect(process.stderr()))
    except BaseException:
        await process.kill()
        raise
    return code, collected.decode(errors="replace")
