"""Probes: what counts as success, and the words for a failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.probes import ProbeError, Prober, Target, check

HOST = "127.0.0.1"


async def execute(command: list[str], seconds: float) -> tuple[int, str]:
    if command == ["slow"]:
        raise TimeoutError
    return (0, "") if command == ["true"] else (3, "oh\n")


def target(port: int = 0) -> Target:
    return Target(HOST, HOST, {"http": port}, lambda address, number: (address, number), execute)


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[int]:
    """A server that sends `answer` to every request (None: nothing, ever)."""
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # nothing comes when only the port is probed
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await released.wait()
            else:
                writer.write(answer)
        writer.close()
        await writer.wait_closed()

    running = await asyncio.start_server(serve, HOST, 0)
    async with running:
        yield running.sockets[0].getsockname()[1]
        released.set()


def http(port: int | str = "http", **fields: object) -> Object:
    return {"httpGet": {"path": "/x", "port": port, **fields}, "timeoutSeconds": 1}


@pytest.mark.parametrize("status", [b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 302 Found"])
def test_http_success(status: bytes) -> None:
    async def scenario() -> None:
        async with server(status + b"\r\n\r\n") as port:
            await check(http(), target(port))
            await check(http(port), target())
            await check({"tcpSocket": {"port": port}}, target())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 no\r\n\r\n", "HTTP probe failed with statuscode: 503"),
        (b"HTTP/1.1 400 no\r\n\r\n", "HTTP probe failed with statuscode: 400"),
        (b"", 'Get "http://127.0.0.1:PORT/x": EOF'),
        (b"nonsense\n", 'Get "http://127.0.0.1:PORT/x": malformed HTTP response "nonsense"'),
        (
            None,
            'Get "http://127.0.0.1:PORT/x": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ),
    ],
)
def test_http_failure(answer: bytes | None, words: str) -> None:
    async def scenario() -> None:
        async with server(answer) as port:
            with pytest.raises(ProbeError) as raised:
                await check(http(), target(port))
            assert str(raised.value) == words.replace("PORT", str(port))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (http(1), 'Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'),
        ({"tcpSocket": {"port": 1}}, "dial tcp 127.0.0.1:1: connect: connection refused"),
        (http("nosuch"), "couldn't find port: nosuch"),
        ({"exec": {"command": ["false"]}}, "oh\n"),
        ({"exec": {"command": ["slow"]}, "timeoutSeconds": 2}, 'command timed out: "slow" timed out after 2s'),
        (
            {"grpc": {"port": 1}, "timeoutSeconds": 9},
            'timeout: failed to connect service "127.0.0.1:1" within 9s: context deadline exceeded',
        ),
    ],
)
def test_other_failures(probe: Object, words: str) -> None:
    with pytest.raises(ProbeError) as raised:
        asyncio.run(check(probe, target()))
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("", ""),
        ("well", ""),
        ("ill", 'service unhealthy (responded with "NOT_SERVING")'),
        ("other", "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "),
    ],
)
def test_a_probe_by_grpc(service: str, words: str) -> None:
    answers = {b"": b"\x08\x01", b"\x0a\x04well": b"\x08\x01", b"\x0a\x03ill": b"\x08\x02"}

    async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if request not in answers:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown service")
        return answers[request]

    async def scenario() -> None:
        running = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(answer)
        health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        running.add_generic_rpc_handlers((health,))
        port = running.add_insecure_port(f"{HOST}:0")
        await running.start()
        try:
            await check({"grpc": {"port": port, "service": service}, "timeoutSeconds": 20}, target())
        finally:
            await running.stop(None)

    if not words:
        asyncio.run(scenario())
        return
    with pytest.raises(ProbeError) as raised:
        asyncio.run(scenario())
    assert str(raised.value).startswith(words)


def test_exec_success() -> None:
    asyncio.run(check({"exec": {"command": ["true"]}}, target()))


def run_prober(kind: str, probe: Object, results: list[bool], until: int) -> tuple[list[bool], list[str]]:
    """What a prober reports while its command gives `results` (the last for ever), after `until` tries."""
    reports: list[bool] = []
    failures: list[str] = []

    async def scenario() -> None:
        tries = 0
        done = asyncio.Event()

        async def scripted(command: list[str], seconds: float) -> tuple[int, str]:
            nonlocal tries
            tries += 1
            if tries == until:
                done.set()
            return (0 if results[min(tries, len(results)) - 1] else 1), "no"

        place = Target(HOST, HOST, {}, lambda address, number: (address, number), scripted)
        full = {"exec": {"command": ["x"]}, **probe}
        task = asyncio.create_task(Prober(kind, full, place, reports.append, failures.append).run())  # type: ignore[arg-type]
        await asyncio.wait_for(done.wait(), 30)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    return reports, failures


def test_a_long_period_does_not_delay_the_first_success() -> None:
    reports, failures = run_prober("Readiness", {"periodSeconds": 1000}, [False, False, True], 3)
    assert reports == [True]
    assert failures == []  # the quick tries are not told


def test_a_startup_probe_ends_with_its_success() -> None:
    assert run_prober("Startup", {}, [True], 1) == ([True], [])


def test_thresholds() -> None:
    probe: Object = {"periodSeconds": 0.02, "failureThreshold": 2, "successThreshold": 1}
    reports, failures = run_prober("Liveness", probe, [True, False, False], 4)
    assert reports[:2] == [True, False]
    assert failures[0] == "Liveness probe failed: no"
