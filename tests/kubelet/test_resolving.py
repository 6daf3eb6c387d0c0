"""What a pod's programs ask the node, when the node has other things to do."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from meshdojo.kubelet.runner import resolving
from meshdojo.kubelet.runner.resolving import ResolverClient


def _question(connection: socket.socket) -> int:
    return int(json.loads(connection.recv(1000))["number"])


def _answer(connection: socket.socket, number: int) -> None:
    connection.sendall(json.dumps({"number": number}).encode() + b"\n")


def _let_go(client: ResolverClient) -> None:
    if client._socket is not None:
        client._socket.close()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ResolverClient(str(run_directory / "network.sock"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(run_directory / "network.sock"))
        listener.listen()
        with monkeypatch.context() as patch:
            patch.setattr(resolving, "TIMEOUT_SECONDS", 0.05)
            with pytest.raises(TimeoutError):
                client.ask({"number": 1})  # nobody serves
        late, _ = listener.accept()

        def serve() -> None:
            with late, listener.accept()[0] as fresh:
                assert _question(late) == 1
                with pytest.raises(BrokenPipeError):
                    _answer(late, 1)
                _answer(fresh, _question(fresh))

        server = threading.Thread(target=serve)
        server.start()
        assert client.ask({"number": 2}) == {"number": 2}
        server.join()
        _let_go(client)


def test_a_resolver_that_is_another_meanwhile_is_asked_again(run_directory: Path) -> None:
    client = ResolverClient(str(run_directory / "network.sock"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(run_directory / "network.sock"))
        listener.listen()

        def serve() -> None:
            for _ in range(2):
                with listener.accept()[0] as connection:
                    _answer(connection, _question(connection))

        server = threading.Thread(target=serve)
        server.start()
        assert client.ask({"number": 1}) == {"number": 1}
        assert client.ask({"number": 2}) == {"number": 2}
        server.join()
        _let_go(client)
