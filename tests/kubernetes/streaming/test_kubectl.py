"""The streams, driven by the real kubectl."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl on the PATH")


class Server(Protocol):
    port: int
    node: object
    kubeconfig: Path


def environment(server: Server) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(server.kubeconfig), "HOME": str(server.kubeconfig.parent)}


def kubectl(server: Server, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["kubectl", *arguments], env=environment(server), input=stdin, capture_output=True, timeout=60, check=False
    )


def test_exec_keeps_output_and_errors_apart(server: Server) -> None:
    done = kubectl(server, "exec", "web", "-c", "app", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n", b"err\n")


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_exit_codes_pass_through(server: Server, script: str, code: int) -> None:
    done = kubectl(server, "exec", "web", "-c", "app", "--", "sh", "-c", script)
    assert done.returncode == code
    assert f"command terminated with exit code {code}".encode() in done.stderr


def test_standard_input_reaches_the_process_and_ends(server: Server) -> None:
    text = os.urandom(300_000)
    done = kubectl(server, "exec", "-i", "web", "-c", "app", "--", "cat", stdin=text)
    assert (done.returncode, done.stdout) == (0, text)


def test_large_output_arrives_whole(server: Server) -> None:
    done = kubectl(server, "exec", "web", "-c", "app", "--", "head", "-c", "3000000", "/dev/zero")
    assert len(done.stdout) == 3_000_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("web", "-c", "nope"), "Error from server (BadRequest): container nope is not valid for pod web"),
        (("pending",), "Error from server (BadRequest): pod pending does not have a host assigned"),
        (("absent",), 'Error from server (NotFound): pods "absent" not found'),
        (("web", "-c", "proxy"), 'unable to upgrade connection: container not found ("proxy")'),
    ],
)
def test_refusals_say_what_the_real_server_says(server: Server, arguments: tuple[str, ...], words: str) -> None:
    done = kubectl(server, "exec", *arguments, "--", "true")
    assert done.returncode == 1
    assert words in done.stderr.decode()


def test_exec_with_a_terminal(server: Server) -> None:
    # script(1) gives kubectl a terminal, so that -t is honoured.
    if shutil.which("script") is None:
        pytest.skip("needs script(1) for a terminal")
    command = "kubectl exec -it web -c app -- sh -c 'test -t 0 && stty size && exit 7'"
    done = subprocess.run(
        ["script", "-qec", f"stty rows 33 cols 101; {command}", "/dev/null"],
        env=environment(server),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7, done.stdout


def test_attach(server: Server) -> None:
    done = kubectl(server, "attach", "web", "-c", "app")
    assert b"attached\n" in done.stdout
    assert done.returncode == 0, "the exit code of the container is not that of attaching"


def test_copy_from_a_container(server: Server, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("copied")
    done = kubectl(server, "cp", "-c", "app", f"default/web:{source}", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_text() == "copied"


def test_logs(server: Server) -> None:
    done = kubectl(server, "logs", "web", "-c", "app", "--tail=5", "--timestamps")
    assert done.stdout == b"one\ntwo\n"
    asked = server.node.asked[-1]  # type: ignore[attr-defined]
    assert (asked.container, asked.tail_lines, asked.timestamps, asked.follow) == ("app", 5, True, False)


def test_logs_of_two_containers_need_a_name(server: Server) -> None:
    done = kubectl(server, "get", "--raw", "/api/v1/namespaces/default/pods/two/log")
    assert b"a container name must be specified for pod two, choose one of: [a b]" in done.stderr


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("tailLines=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("previous=true", 'previous terminated container "app" in pod "web" not found'),
    ],
)
def test_bad_log_options(server: Server, query: str, words: str) -> None:
    done = kubectl(server, "get", "--raw", f"/api/v1/namespaces/default/pods/web/log?container=app&{query}")
    assert words in done.stderr.decode()


@contextmanager
def forwarded(server: Server, port: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The local port that kubectl forwards to `port` of the pod."""
    process = subprocess.Popen(
        ["kubectl", "port-forward", "pod/web", f":{port}", "--address=127.0.0.1"],
        env=environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        match = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert match, line
        yield int(match[1]), process
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A TCP server that sends everything back in capitals, then closes when the client has finished."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data.upper())

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def send(connection: socket.socket, data: bytes) -> None:
    # The other side may have gone by then: that is one of the things tested.
    with contextlib.suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def exchange(port: int, data: bytes) -> bytes:
    """What comes back for `data`."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        sender = threading.Thread(target=send, args=(connection, data))
        sender.start()
        received = b""
        while part := connection.recv(65536):
            received += part
        sender.join()
        return received


def test_port_forward_carries_several_connections(server: Server, echo_port: int) -> None:
    server.node.ports[80] = echo_port  # type: ignore[attr-defined]
    with forwarded(server, 80) as (port, _):
        assert exchange(port, b"hello") == b"HELLO"
        big = b"abcdefgh" * 100_000
        assert exchange(port, big) == big.upper()


def test_port_forward_to_a_closed_port_says_so(server: Server) -> None:
    with forwarded(server, 81) as (port, process):
        assert exchange(port, b"hello") == b""
        assert process.stdout is not None
        output = process.stdout.read()
    assert "error forwarding port 81 to pod web, uid : failed to connect to localhost:81" in output
    assert "Connection refused" in output
