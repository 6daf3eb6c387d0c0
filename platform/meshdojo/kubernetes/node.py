"""What the API server asks of the node (the kubelet): logs, exec, and connections into pods.

The counterpart of the kubelet's own HTTP API. The API server does the framing that clients see (WebSocket v5 and
v4 channels, SPDY inside a WebSocket, chunked text); the node does the work.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class LogOptions:
    """The query of ``GET …/pods/NAME/log`` (PodLogOptions in core/v1)."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class Usage:
    """CPU in cores, as a rate over the last `window` seconds, and memory in bytes."""

    cores: float
    memory: int
    window: float


@dataclass(frozen=True)
class NodeUsage:
    """What the node uses in all, and by (namespace, pod) and container those that run."""

    total: Usage
    pods: dict[tuple[str, str], dict[str, Usage]]


class Process(Protocol):
    """A command that runs in a container."""

    async def write_stdin(self, data: bytes) -> None:
        """Give it input. What it does not read any more, or never took, is dropped."""
        ...

    async def close_stdin(self) -> None:
        """Its input has ended."""
        ...

    def stdout(self) -> AsyncIterator[bytes]:
        """What it prints, until it has closed that stream."""
        ...

    def stderr(self) -> AsyncIterator[bytes]:
        """Empty when the process has a terminal."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """Its terminal has so many columns and rows now. Nothing happens where there is none."""
        ...

    async def wait(self) -> int:
        """The exit code; 128 + signal number when a signal ended it."""
        ...

    async def kill(self) -> None:
        """The client has gone: nobody waits for it any more."""
        ...


class Node(Protocol):
    """The one node of the embedded cluster. All methods raise `StatusError` with the real kubelet's words."""

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Errors are raised before the iterator is returned, so that they become an HTTP status."""
        ...

    async def exec(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> Process:
        """Start `command` in a container ('': the only one); 500 when it cannot be started, as runc says it."""
        ...

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> Process:
        """The main process of a container, as far as its input and output are concerned."""
        ...

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[StreamReader, StreamWriter]:
        """A connection to a port inside the pod, as port-forward makes it (to the pod's own localhost)."""
        ...

    async def usage(self) -> NodeUsage:
        """What the node and its containers use now."""
        ...

    def transport(self, address: str, port: int) -> tuple[str, int]:
        """Where to really connect for a pod IP or ClusterIP and port: (address, port) after load balancing.

        Raises ConnectionRefusedError where nothing serves it. Used for admission webhooks and the pod/service proxy.
        """
        ...
