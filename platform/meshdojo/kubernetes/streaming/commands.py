"""exec and attach: a process in a container, over a WebSocket with channels.

The answer to a process that ended is a Status on the error channel; so are refusals of the node, because kubectl
falls back to another protocol when the upgrade itself is refused.
Source: k8s.io/client-go/tools/remotecommand, k8s.io/kubelet/pkg/cri/streaming/remotecommand.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.node import Process
from meshdojo.kubernetes.streaming.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Channels

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)

Start = Callable[[], Awaitable[Process]]


@dataclass(frozen=True)
class StreamOptions:
    """The query of exec and attach (PodExecOptions, PodAttachOptions)."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: list[str]

    @classmethod
    def from_query(cls, query: QueryParams, *, needs_command: bool) -> StreamOptions:
        """Raises StatusError 400."""
        flags = {name: truth(query.get(name, "")) for name in ("stdin", "stdout", "stderr", "tty")}
        options = cls(**flags, command=query.getlist("command"))
        if not (options.stdin or options.stdout or options.stderr):
            raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        if needs_command and not options.command:
            raise errors.bad_request("you must specify at least one command for the container")
        return options


def truth(text: str) -> bool:
    """A boolean of a query, as the real server converts it: all but '', 'false' and '0' is true."""
    return text.lower() not in ("", "false", "0")


async def serve(channels: Channels, options: StreamOptions, start: Start, *, owned: bool) -> None:
    """Starts the process and copies until it ends or the client goes. `owned`: end the process with the client."""
    try:
        process = await start()
    except StatusError as error:
        await channels.send(ERROR, orjson.dumps(_refusal(error)))
    else:
        await _Session(channels, options, process, owned).run()
    await channels.close()


def _refusal(error: StatusError) -> dict[str, Any]:
    return error.status()


@dataclass
class _Session:
    channels: Channels
    options: StreamOptions
    process: Process
    owned: bool

    async def run(self) -> None:
        work = asyncio.create_task(self._work())
        reading = asyncio.create_task(self._read())
        await asyncio.wait({work, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            # The client has gone: nobody reads what the command still writes, and there is no more input.
            await self.process.kill()
        for task in (work, reading):
            task.cancel()
        for task in (work, reading):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        """Copies the output, then says how the process ended."""
        async with asyncio.TaskGroup() as copying:
            if self.options.stdout:
                copying.create_task(self._copy(self.process.stdout(), STDOUT))
            if self.options.stderr and not self.options.tty:
                copying.create_task(self._copy(self.process.stderr(), STDERR))
            code = await self.process.wait()
        # How a container ended stands in its status: attaching to it has succeeded all the same.
        await self.channels.send(ERROR, orjson.dumps(exit_status(code if self.owned else 0)))

    async def _copy(self, output: AsyncIterator[bytes], channel: int) -> None:
        async for data in output:
            await self.channels.send(channel, data)

    async def _read(self) -> None:
        """Until the client goes: input, its end, and the size of its terminal."""
        while (message := await self.channels.receive()) is not None:
            channel, data = message
            if channel == STDIN and self.options.stdin:
                await self._write(data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                await self.process.close_stdin()
            elif channel == RESIZE:
                await self._resize(data)

    async def _write(self, data: bytes) -> None:
        # A process that no longer reads is not the client's fault; its end is reported by `_work`.
        with contextlib.suppress(ConnectionError, OSError):
            await self.process.write_stdin(data)

    async def _resize(self, data: bytes) -> None:
        try:
            size = orjson.loads(data)
            width, height = int(size["Width"]), int(size["Height"])
        except (ValueError, KeyError, TypeError):
            return
        if width > 0 and height > 0:
            await self.process.resize(width, height)


def exit_status(code: int) -> dict[str, Any]:
    """The Status on the error channel for a process that ended with `code`."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
