"""Probes: is a container alive, ready, started?

A deviation from the real kubelet, so that pods are ready in milliseconds: until a startup or readiness probe has
succeeded for the first time, it is tried in quick succession at first, whatever its period (see `quick_pause`).
Failures still count, and are reported, once a period only.

Source: the Probe type of core/v1 and the words of a real kubelet's events.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshdojo.cluster.client import Object

if TYPE_CHECKING:
    import grpc.aio

_QUICK_FOR_SECONDS = 10.0
_QUICKEST_SECONDS, _QUICKEST_EXEC_SECONDS, _SLOWEST_QUICK_SECONDS = 0.03, 0.25, 0.25
_USER_AGENT = "kube-probe/1.34"
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = 1
_HEALTH = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}

Kind = Literal["Startup", "Readiness", "Liveness"]
# Runs a command in the container: (exit code, output). Raises TimeoutError.
Execute = Callable[[list[str], float], Awaitable[tuple[int, str]]]


@dataclass(frozen=True)
class Target:
    """The container that is probed. `connect` says where an address and port of the pod are really served."""

    ip: str
    source: str
    ports: dict[str, int]
    connect: Callable[[str, int], tuple[str, int]]
    execute: Execute


class ProbeError(Exception):
    """A probe failed. The text is the kubelet's."""


async def check(probe: Object, target: Target) -> None:
    """Carry out one probe (or a lifecycle hook that has the same form). Raises `ProbeError` if it fails."""
    seconds = float(probe.get("timeoutSeconds") or 1)
    if "httpGet" in probe:
        await _http(probe["httpGet"], target, seconds)
    elif "tcpSocket" in probe:
        await _tcp(probe["tcpSocket"], target, seconds)
    elif "exec" in probe:
        await _exec(probe["exec"]["command"], target, seconds)
    elif "sleep" in probe:
        await asyncio.sleep(probe["sleep"]["seconds"])
    else:
        await _grpc(probe["grpc"], target, seconds)


def _port(value: str | int, target: Target) -> int:
    if isinstance(value, int) or value.isdigit():
        return int(value)
    if value not in target.ports:
        raise ProbeError(f"couldn't find port: {value}")
    return target.ports[value]


async def _http(get: Object, target: Target, seconds: float) -> None:
    host, port = get.get("host") or target.ip, _port(get["port"], target)
    scheme = (get.get("scheme") or "HTTP").lower()
    path = "/" + (get.get("path") or "/").removeprefix("/")
    url = f"{scheme}://{host}:{port}{path}"
    try:
        async with asyncio.timeout(seconds):
            code = await _get(get, target, host, port, path, scheme == "https")
    except TimeoutError:
        raise ProbeError(
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ) from None
    except ConnectionRefusedError:
        raise ProbeError(f'Get "{url}": dial tcp {host}:{port}: connect: connection refused') from None
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise ProbeError(f'Get "{url}": {_reason(error)}') from None
    if not 200 <= code < 400:
        raise ProbeError(f"HTTP probe failed with statuscode: {code}")


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return "EOF" if isinstance(error, asyncio.IncompleteReadError) else str(error)


async def _get(get: Object, target: Target, host: str, port: int, path: str, tls: bool) -> int:
    """The status code of a GET."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    address, real_port = target.connect(host, port)
    local = (target.source, 0) if address.startswith("127.") else None
    reader, writer = await asyncio.open_connection(address, real_port, ssl=context, local_addr=local)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": _USER_AGENT, "Accept": "*/*", "Connection": "close"}
        headers.update({header["name"]: header["value"] for header in get.get("httpHeaders") or ()})
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        line = await reader.readuntil(b"\n")
        return int(line.split()[1])
    except IndexError:
        raise ValueError(f'malformed HTTP response "{line.decode(errors="replace").strip()}"') from None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _tcp(socket: Object, target: Target, seconds: float) -> None:
    host, port = socket.get("host") or target.ip, _port(socket["port"], target)
    address, real_port = target.connect(host, port)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, real_port)
    except TimeoutError:
        raise ProbeError(f"dial tcp {host}:{port}: i/o timeout") from None
    except ConnectionRefusedError:
        raise ProbeError(f"dial tcp {host}:{port}: connect: connection refused") from None
    except OSError as error:
        raise ProbeError(f"dial tcp {host}:{port}: {error.strerror}") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _grpc(probe: Object, target: Target, seconds: float) -> None:
    """Ask the standard health service. Source: pkg/probe/grpc; the messages are small enough to be written by hand."""
    import grpc.aio  # 20 MB that only those pay who probe this way

    port, service = int(probe["port"]), str(probe.get("service") or "").encode()
    address, real_port = target.connect(target.ip, port)
    request = b"\x0a" + bytes((len(service),)) + service if service else b""
    async with grpc.aio.insecure_channel(f"{address}:{real_port}") as channel:
        try:
            ask = channel.unary_unary(_HEALTH_CHECK, request_serializer=None, response_deserializer=None)
            answer = await ask(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise ProbeError(_grpc_words(error, f"{target.ip}:{port}", seconds)) from None
    status = answer[1] if answer[:1] == b"\x08" else 0
    if status != _SERVING:
        raise ProbeError(f'service unhealthy (responded with "{_HEALTH.get(status, str(status))}")')


def _grpc_words(error: grpc.aio.AioRpcError, address: str, seconds: float) -> str:
    match error.code().name:
        case "UNIMPLEMENTED":
            detail = f"rpc error: code = Unimplemented desc = {error.details()}"
            return f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {detail}"
        case "DEADLINE_EXCEEDED":
            return f"timeout: health rpc did not complete within {seconds:g}s"
        case "UNAVAILABLE":
            return f'timeout: failed to connect service "{address}" within {seconds:g}s: context deadline exceeded'
    return f"error: health rpc probe failed: rpc error: code = {error.code().name} desc = {error.details()}"


async def _exec(command: list[str], target: Target, seconds: float) -> None:
    try:
        code, output = await target.execute(command, seconds)
    except TimeoutError:
        raise ProbeError(f'command timed out: "{" ".join(command)}" timed out after {seconds:g}s') from None
    if code:
        raise ProbeError(output)


class Prober:
    """Repeats one probe: `report(True/False)` when a threshold is reached, `failed(text)` once a period.

    Of a container that an earlier kubelet has started `age` seconds ago, and whose probe may have `succeeded` then.
    """

    def __init__(
        self,
        kind: Kind,
        probe: Object,
        target: Target,
        report: Callable[[bool], None],
        failed: Callable[[str], None],
        *,
        age: float = 0.0,
        succeeded: bool = False,
    ) -> None:
        self._kind = kind
        self._probe = probe
        self._target = target
        self._report = report
        self._failed = failed
        self._period = float(probe.get("periodSeconds") or 10)
        self._began = time.monotonic()
        self._counted = 0.0
        self._successes = self._failures = 0
        self._succeeded = succeeded
        self._delay = max(0.0, float(probe.get("initialDelaySeconds") or 0) - age)

    async def run(self) -> None:
        """Probe until cancelled; a startup probe ends when it has succeeded."""
        await asyncio.sleep(self._delay)
        self._began = time.monotonic()
        self._counted = self._began - self._period if self._kind == "Liveness" else self._began
        while True:
            try:
                await check(self._probe, self._target)
            except ProbeError as error:
                self._fail(str(error))
            else:
                self._succeed()
                if self._kind == "Startup" and self._succeeded:
                    return
            await asyncio.sleep(self._pause())

    def _succeed(self) -> None:
        self._failures = 0
        self._successes += 1
        if self._successes >= int(self._probe.get("successThreshold") or 1):
            self._succeeded = True
            self._report(True)

    def _fail(self, text: str) -> None:
        self._successes = 0
        now = time.monotonic()
        if now - self._counted < self._period * 0.9:
            return  # one of the quick ones
        self._counted = now
        self._failures += 1
        self._failed(f"{self._kind} probe failed: {text}")
        if self._failures >= int(self._probe.get("failureThreshold") or 3):
            self._report(False)

    def _pause(self) -> float:
        passed = time.monotonic() - self._began
        if self._succeeded or self._kind == "Liveness" or passed > _QUICK_FOR_SECONDS:
            return self._period
        return min(self._period, _QUICKEST_EXEC_SECONDS if "exec" in self._probe else quick_pause(passed))


def quick_pause(passed: float) -> float:
    """Seconds until the next try, `passed` seconds after the first: a tenth of what it has taken anyway."""
    return min(max(_QUICKEST_SECONDS, passed / 10), _SLOWEST_QUICK_SECONDS)
