"""``nc`` for pods: plain TCP through the pod's own network. ``nc [-vz] [-w SECONDS] HOST PORT``, ``nc -l -p PORT``.

Words are those of the OpenBSD netcat. What is typed goes to the server until its end, then what the server still says
is shown: ``echo hello | nc tcp-echo 9000``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys

_CHUNK = 64 * 1024
# A proxy that is still reading the first bytes when the end of the input arrives with them takes the client for gone,
# and resets the connection. So the end follows the answer, or this many seconds of silence.
_SETTLING = 0.25


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nc", add_help=True)
    parser.add_argument("-v", action="store_true", help="say what happens")
    parser.add_argument("-z", action="store_true", help="only try to connect")
    parser.add_argument("-n", action="store_true", help="no name look-up (taken, and without effect)")
    parser.add_argument("-N", action="store_true", help="close the connection at the end of the input")
    parser.add_argument("-l", action="store_true", help="listen, and serve one connection")
    parser.add_argument("-p", type=int, help="the port to listen on")
    parser.add_argument("-w", type=float, help="seconds to wait for a connection and for silence", metavar="SECONDS")
    parser.add_argument("-q", type=float, help="seconds to wait after the end of the input", metavar="SECONDS")
    parser.add_argument("host", nargs="?", default="")
    parser.add_argument("port", nargs="?", default="")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Exit status: 0 connected, 1 not."""
    given = _arguments(argv[1:])
    if given.l:
        return _listen(given)
    if not given.host or not given.port:
        print("usage: nc [-lNnvz] [-p port] [-q seconds] [-w seconds] [destination] [port]", file=sys.stderr)
        return 1
    return max(_connect(given, port) for port in _ports(given.port))


def _ports(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(first)]


def _connect(given: argparse.Namespace, port: int) -> int:
    try:
        connection = socket.create_connection((given.host, port), timeout=given.w)
    except socket.gaierror as error:
        print(f'nc: getaddrinfo for host "{given.host}" port {port}: {error.strerror}', file=sys.stderr)
        return 1
    except OSError as error:
        if given.v or not given.z:
            words = "Operation timed out" if isinstance(error, TimeoutError) else error.strerror
            print(f"nc: connect to {given.host} port {port} (tcp) failed: {words}", file=sys.stderr)
        return 1
    if given.v:
        print(f"Connection to {given.host} {port} port [tcp/*] succeeded!", file=sys.stderr)
    with connection:
        return 0 if given.z else _pass(connection, given)


def _listen(given: argparse.Namespace) -> int:
    with socket.create_server(("0.0.0.0", given.p or int(given.port or given.host))) as listener:
        connection, peer = listener.accept()
    if given.v:
        print(f"Connection received on {peer[0]} {peer[1]}", file=sys.stderr)
    with connection:
        return _pass(connection, given)


def _pass(connection: socket.socket, given: argparse.Namespace) -> int:
    """Both ways, until the server has nothing more to say."""
    connection.settimeout(None)
    inputs, patience = [connection.fileno(), 0], given.w
    while True:
        ready = select.select(inputs, [], [], patience)[0]
        if not ready:
            return 0
        if connection.fileno() in ready:
            try:
                data = connection.recv(_CHUNK)
            except OSError as error:
                print(f"nc: read failed: {error.strerror}", file=sys.stderr)
                return 1
            if not data:
                return 0
            os.write(1, data)
        if 0 in ready:
            typed = os.read(0, _CHUNK)
            if typed:
                connection.sendall(typed)
                continue
            inputs.remove(0)
            patience = given.q if given.q is not None else given.w
            if connection.fileno() in inputs:
                select.select([connection], [], [], _SETTLING)
            # The other netcats of the world keep their side open; an echo server would then never end the connection.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
