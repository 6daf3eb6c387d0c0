"""exec over a WebSocket: the ``v5.channel.k8s.io`` protocol, and v4 with older servers.

The first byte of each message is the channel: 0 stdin, 1 stdout, 2 stderr, 3 the final Status as JSON. ``FF 00``
closes stdin (v5 only). Source: ``k8s.io/apimachinery/pkg/util/remotecommand`` and KEP-4006.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from meshdojo.cluster.errors import StatusError, Unreachable

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR = range(4)
CLOSE_STDIN = b"\xff\x00"
STDIN_CHUNK = 32 * 1024
Query = Sequence[tuple[str, str]]
WhyRefused = Callable[[str, Query, int], Awaitable[StatusError]]


@dataclass(frozen=True)
class ExecResult:
    """How a command ended (0, or 128 + signal number, or its own code) and what it printed."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def exec_query(command: Sequence[str], container: str | None, stdin: bool) -> list[tuple[str, str]]:
    """The query of ``…/exec`` (PodExecOptions in core/v1)."""
    query = [("command", part) for part in command]
    if container:
        query.append(("container", container))
    if stdin:
        query.append(("stdin", "true"))
    return [*query, ("stdout", "true"), ("stderr", "true")]


async def run(
    session: ClientSession,
    url: str,
    query: Query,
    headers: Mapping[str, str],
    stdin: bytes | None,
    why_refused: WhyRefused,
) -> ExecResult:
    """Open the stream, send `stdin`, collect the output until the Status comes. Errors as `HTTPClient.exec`."""
    from aiohttp import WSServerHandshakeError

    try:
        async with session.ws_connect(url, params=query, headers=headers, protocols=(V5, V4), max_msg_size=0) as socket:
            if stdin is not None:
                await _send(socket, stdin)
            return await _collect(socket)
    except WSServerHandshakeError as error:
        raise await why_refused(url, query, error.status) from error


async def _send(socket: ClientWebSocketResponse, stdin: bytes) -> None:
    for start in range(0, len(stdin), STDIN_CHUNK):
        await socket.send_bytes(bytes([STDIN]) + stdin[start : start + STDIN_CHUNK])
    if socket.protocol == V5:  # v4 has no way to say it
        await socket.send_bytes(CLOSE_STDIN)


async def _collect(socket: ClientWebSocketResponse) -> ExecResult:
    output = {STDOUT: bytearray(), STDERR: bytearray(), ERROR: bytearray()}
    async for message in socket:
        if isinstance(message.data, bytes) and message.data and message.data[0] in output:
            output[message.data[0]] += message.data[1:]
    if not output[ERROR]:
        raise Unreachable("the stream was closed before the command ended")
    return ExecResult(_exit_code(orjson.loads(output[ERROR])), bytes(output[STDOUT]), bytes(output[STDERR]))


def _exit_code(status: dict[str, Any]) -> int:
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
    if status.get("reason") == "NonZeroExitCode" and codes:
        return int(codes[0])
    raise StatusError.from_status(status, 500)
