"""exec, attach, logs and port-forward, as the API server asks for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.kubelet.images import Image

Start = Callable[..., AbstractAsyncContextManager[Any]]
WAITS = "echo before; until [ -e go ]; do sleep 0.02; done; echo after"
FOREVER = {"command": ["sleep", "1000"]}
WEB = {"image": "test/server:1", "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, however the other side ended it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def test_exit_codes_and_streams_pass_through(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            assert await it.exec("web", "sh", "-c", "echo out; echo err >&2; exit 5") == (5, "out\n", "err\n")
            assert (await it.exec("web", "sh", "-c", "kill -9 $$"))[0] == 137
            assert await it.exec("web", "cat", stdin=b"typed") == (0, "typed", "")
            assert await it.exec("web", "hostname") == (0, "web\n", "")
            assert await it.exec("web", "python3", "-c", "import sys; sys.exit(3)") == (3, "", "")
            assert (await it.exec("web", "sh", "-c", "python -m json.tool </dev/null"))[0] == 1
            big = await it.exec("web", "head", "-c", "3000000", "/dev/zero")
            assert (big[0], len(big[1])) == (0, 3000000)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH: unknown'),
        ("/nosuch", 'exec: "/nosuch": stat /nosuch: no such file or directory: unknown'),
        ("/etc", 'exec: "/etc": permission denied: unknown'),
    ],
)
def test_a_command_that_does_not_exist_is_refused_with_the_words_of_the_runtime(
    start: Start, command: str, words: str
) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            with pytest.raises(StatusError) as raised:
                await it.exec("web", command)
            assert raised.value.code == 500
            assert raised.value.message.endswith(
                f"OCI runtime exec failed: exec failed: unable to start container process: {words}"
            )

    asyncio.run(scenario())


def test_a_terminal(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            process = await it.kubelet.exec("default", "web", "", ["sh"], stdin=True, tty=True)
            await process.resize(132, 43)
            await process.write_stdin(b"tty; stty size; sleep 100\n")
            seen = b""
            async with asyncio.timeout(30):
                async for chunk in process.stdout():
                    seen += chunk
                    if b"43 132" in seen:
                        await process.write_stdin(b"\x03")
                        await process.write_stdin(b"exit 9\n")
                assert await process.wait() == 9
            assert b"/dev/pts/" in seen
            assert [chunk async for chunk in process.stderr()] == []

    asyncio.run(scenario())


def test_which_container(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            init = {"name": "i", "image": "test/python:1", "command": ["true"]}
            await it.pod("two", FOREVER, FOREVER, initContainers=[init])
            await it.ready("two")
            for container, words in (
                ("nosuch", "container nosuch is not valid for pod two"),
                (
                    "",
                    "a container name must be specified for pod two, choose one of: [c0 c1] "
                    "or one of the init containers: [i]",
                ),
            ):
                for refused in (it.exec("two", "true", container=container), it.logs("two", container)):
                    with pytest.raises(StatusError) as raised:
                        await refused
                    assert (raised.value.code, raised.value.message) == (400, words)
            with pytest.raises(StatusError) as raised:
                await it.exec("two", "true", container="i")
            assert raised.value.message.endswith('unable to upgrade connection: container not found ("i")')
            with pytest.raises(StatusError) as raised:
                await it.logs("nosuch")
            assert (raised.value.code, raised.value.message) == (404, 'pods "nosuch" not found')

    asyncio.run(scenario())


def test_logs_of_what_does_not_run(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("noimage", {"image": "nosuch:1"})
            await it.until("noimage", lambda pod: "ErrImagePull" in str(pod["status"]))
            with pytest.raises(StatusError) as raised:
                await it.logs("noimage")
            assert raised.value.code == 400
            assert raised.value.message.startswith('container "c0" in pod "noimage" is waiting to start: ')
            await it.pod("web", FOREVER)
            await it.ready("web")
            with pytest.raises(StatusError, match='previous terminated container "c0" in pod "web" not found'):
                await it.logs("web", previous=True)

    asyncio.run(scenario())


def test_log_options(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {"command": ["sh", "-c", "for i in 1 2 3; do echo $i; done; sleep 1000"]})
            await it.ready("web")
            await it.logged("web", "3\n")
            assert await it.logs("web", tail_lines=2) == "2\n3\n"
            assert await it.logs("web", tail_lines=0) == ""
            assert await it.logs("web", limit_bytes=3) == "1\n2"
            assert await it.logs("web", since_seconds=1000) == "1\n2\n3\n"
            assert await it.logs("web", since_time="2999-01-01T00:00:00Z") == ""
            stamped = (await it.logs("web", timestamps=True)).splitlines()
            assert [line.split(" ")[1] for line in stamped] == ["1", "2", "3"]
            assert all(line[10] == "T" and line.split(" ")[0].endswith("Z") for line in stamped)

    asyncio.run(scenario())


def test_connections_reach_what_the_app_bound(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", WEB)
            await it.ready("web")
            reader, writer = await it.kubelet.connect("default", "web", 8080)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 200")
            await closed(writer)
            with pytest.raises(StatusError, match="failed to connect to localhost:81 inside namespace"):
                await it.kubelet.connect("default", "web", 81)

    asyncio.run(scenario())


def test_attach_shows_what_comes_from_now_on(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod(
                "web",
                {"command": ["sh", "-c", WAITS]},
                restartPolicy="Never",
            )
            await it.ready("web")
            await it.logged("web", "before")
            process = await it.kubelet.attach("default", "web", "c0", stdin=False, tty=False)
            output = asyncio.create_task(_text(process.stdout()))
            await asyncio.sleep(0)
            assert (await it.exec("web", "touch", "go"))[0] == 0
            async with asyncio.timeout(30):
                assert await output == "after\n"
                assert await process.wait() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("tty", [False, True])
def test_what_is_typed_reaches_the_container(start: Start, tty: bool) -> None:
    script = 'read name; echo "hello $name"; read rest || echo no more'

    async def scenario() -> None:
        async with start() as it:
            open_input = {"stdin": True, "stdinOnce": True, "tty": tty}
            await it.pod("web", {"command": ["sh", "-c", script], **open_input}, restartPolicy="Never")
            await it.ready("web")
            process = await it.kubelet.attach("default", "web", "c0", stdin=True, tty=tty)
            output = asyncio.create_task(_text(process.stdout()))
            await process.resize(120, 40)
            await process.write_stdin(b"mesh\n")
            await process.write_stdin(b"\x04") if tty else await process.close_stdin()
            async with asyncio.timeout(30):
                # A terminal shows what is typed, and ends its lines in its own way.
                shown = (await output).replace("\r\n", "\n").replace("^D\b\b", "")
                assert shown == ("mesh\n" if tty else "") + "hello mesh\nno more\n"
                assert await process.wait() == 0
            assert "hello mesh" in await it.logs("web")

    asyncio.run(scenario())


def test_an_ephemeral_container_joins_a_pod_and_counts_for_nothing(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", FOREVER)
            await it.ready("web")
            lens = {"name": "lens", "image": "test/python:1", "command": ["sh", "-c", "echo seen; exit 4"]}
            patch = {"spec": {"ephemeralContainers": [lens]}}
            await it.api.patch("pods", "web", patch, "default", type="strategic", subresource="ephemeralcontainers")

            def ended(pod: Object) -> bool:
                statuses = pod["status"].get("ephemeralContainerStatuses") or ()
                return any("terminated" in one["state"] for one in statuses)

            pod = await it.until("web", ended)
            (status,) = pod["status"]["ephemeralContainerStatuses"]
            assert (status["name"], status["ready"], status["restartCount"]) == ("lens", False, 0)
            assert status["state"]["terminated"]["exitCode"] == 4
            assert it.is_ready(pod)
            assert pod["status"]["phase"] == "Running"
            assert [one["name"] for one in pod["status"]["containerStatuses"]] == ["c0"]
            assert await it.logs("web", "lens") == "seen\n"
            for changed, words in (([], "removed"), ([{**lens, "command": ["true"]}], "changed")):
                with pytest.raises(StatusError, match=f'existing ephemeral containers "lens" may not be {words}'):
                    await it.api.patch(
                        "pods",
                        "web",
                        {"spec": {"ephemeralContainers": changed}},
                        "default",
                        type="merge",
                        subresource="ephemeralcontainers",
                    )

    asyncio.run(scenario())


def test_the_programs_of_an_image(start: Start) -> None:
    agent = Image(("test/agent",), ("sleep",), ("1000",), programs={"pilot-agent": ("python", "-c", "print('agent')")})

    async def scenario() -> None:
        async with start(images=[agent]) as it:
            await it.pod("web", {"image": "docker.io/test/agent:1.2@sha256:" + "0" * 64})
            await it.ready("web")
            assert await it.exec("web", "pilot-agent") == (0, "agent\n", "")

    asyncio.run(scenario())


def test_curl_in_a_pod(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            ports = [{"port": 80, "targetPort": 8080}]
            await it.apply("Service", "web", spec={"selector": {"app": "web"}, "ports": ports})
            await it.pod("web", WEB)
            await it.served("web")
            await it.pod("client", FOREVER)
            await it.ready("client")
            code, out, _ = await it.exec(
                "client", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\\n", "http://web/"
            )
            assert (code, out) == (0, "200\n")
            _, out, _ = await it.exec("web", "sh", "-c", "curl -s http://localhost:8080/ | head -n 1")
            assert out == "<!DOCTYPE HTML>\n"
            assert await it.exec("web", "curl", "-sS", "http://nosuch/") == (
                6, "", "curl: (6) Could not resolve host: nosuch\n",
            )  # fmt: skip
            code, _, err = await it.exec("web", "curl", "-sS", "http://localhost:81/")
            assert code == 7
            assert err.startswith("curl: (7) Failed to connect to localhost port 81 after ")

    asyncio.run(scenario())


async def _text(chunks: Any) -> str:
    return b"".join([chunk async for chunk in chunks]).decode()
