"""The streams, driven by the official Python client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import pytest


class Server(Protocol):
    port: int
    node: Any


@pytest.fixture
def core(server: Server) -> Any:
    from kubernetes import client

    return client.CoreV1Api(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{server.port}")))


def run(core: Any, *command: str, container: str = "app", pod: str = "web") -> Any:
    from kubernetes.stream import stream

    return stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        "default",
        container=container,
        command=list(command),
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )


def test_exec(core: Any) -> None:
    session = run(core, "sh", "-c", "read line; echo got $line; echo err >&2; exit 3")
    session.write_stdin("hello\n")
    session.run_forever(timeout=30)
    assert session.read_stdout() == "got hello\n"
    assert session.read_stderr() == "err\n"
    assert session.returncode == 3
    # The client's own close() leaves the socket open once the server has closed the WebSocket.
    session.sock.shutdown()


@pytest.mark.parametrize(
    ("pod", "container", "status"),
    [("absent", "app", "Handshake status 404"), ("web", "nope", "Handshake status 400")],
)
def test_refusals(core: Any, pod: str, container: str, status: str) -> None:
    from kubernetes.client.exceptions import ApiException

    with pytest.raises(ApiException, match=status):
        run(core, "true", container=container, pod=pod)


@pytest.fixture
def greeter() -> Iterator[int]:
    """A TCP server that greets with one line, and stays until its client goes.

    (The Python client loses what it has not passed on yet when the server closes the WebSocket.)
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"hello " + stream.readline())
            stream.flush()
            stream.read()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(30)
    listener.close()


def finish(forward: Any) -> None:
    """Ends a port-forward of the client, whose own thread then closes the WebSocket."""
    forward.close()
    for thread in threading.enumerate():
        if thread.name.startswith("Kubernetes port forward proxy"):
            thread.join(30)
            assert not thread.is_alive()


def test_port_forward(core: Any, server: Server, greeter: int) -> None:
    from kubernetes.stream import portforward

    server.node.ports[80] = greeter
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="80")
    connection = forward.socket(80)
    connection.settimeout(30)
    connection.sendall(b"world\n")
    received = b""
    while not received.endswith(b"\n") and (data := connection.recv(100)):
        received += data
    assert received == b"hello world\n"
    assert forward.error(80) is None
    finish(forward)


def test_port_forward_to_a_closed_port(core: Any) -> None:
    from kubernetes.stream import portforward

    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="81")
    connection = forward.socket(81)
    connection.settimeout(30)
    assert connection.recv(100) == b""
    assert "failed to connect to localhost:81" in forward.error(81)
    finish(forward)
