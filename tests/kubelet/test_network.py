"""Pods speak to each other: addresses, services, names, refusals, the sidecar's header."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from meshdojo.network import Block, mapped_port, twin

Start = Callable[..., AbstractAsyncContextManager[Any]]
FOREVER = {"command": ["sleep", "1000"]}
WEB = {
    "image": "test/server:1",
    "ports": [{"name": "http", "containerPort": 8080}],
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
}
REFUSED = """
import socket, sys
gone = "empty.nosuch.svc.cluster.local"
for host, port in (("empty", 80), (sys.argv[1], 9999), ("localhost", 8080), ("nosuch", 80), (gone, 80)):
    try:
        socket.create_connection((host, port))
    except OSError as error:
        print(type(error).__name__, error.errno)
"""
ASK = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
"""


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, however the other side ended it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def service(it: Any, name: str, **spec: object) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    await it.apply("Service", name, spec={"selector": {"app": name}, "ports": ports, **spec})


def test_two_pods_talk_through_a_service(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await service(it, "web")
            web = await it.pod("web", WEB) and await it.ready("web")
            await it.pod("client", FOREVER)
            client = await it.ready("client")
            await it.served("web")
            names = (
                "web",
                "web.default",
                "web.default.svc",
                "web.default.svc.cluster.local",
                web["status"]["podIP"] + ":8080",
            )
            for name in names:
                assert await it.exec("client", "python", "-c", ASK, f"http://{name}/") == (0, "200\n", "")
            assert f"{client['status']['podIP']} - - " in await it.logs("web")

    asyncio.run(scenario())


def test_privileged_ports_are_served_without_root(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", {**WEB, "args": ["80"], "readinessProbe": {"tcpSocket": {"port": 80}}})
            pod = await it.ready("web")
            reader, writer = await asyncio.open_connection(pod["status"]["podIP"], mapped_port(80))
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 200")
            await closed(writer)
            assert "Serving HTTP on 0.0.0.0 port 80 " in await it.logs("web")
            assert await it.exec("web", "python", "-c", ASK, "http://localhost/") == (0, "200\n", "")

    asyncio.run(scenario())


def test_refused_and_unknown(start: Start) -> None:
    async def scenario() -> None:
        async with start() as it:
            await service(it, "empty")
            await it.pod("client", FOREVER)
            pod = await it.ready("client")
            code = REFUSED
            _, out, err = await it.exec("client", "python", "-c", code, pod["status"]["podIP"])
            assert err == ""
            assert out.splitlines() == ["ConnectionRefusedError 111"] * 3 + ["gaierror -2"] * 2

    asyncio.run(scenario())


def test_what_listens_on_localhost_is_reached_by_its_own_pod_only(start: Start) -> None:
    private = {
        **WEB,
        "args": ["8080", "--bind", "127.0.0.1"],
        "readinessProbe": {"exec": {"command": ["python", "-c", ASK, "http://127.0.0.1:8080/"]}},
    }

    async def scenario() -> None:
        async with start() as it:
            await it.pod("web", private)
            pod = await it.ready("web")
            await it.pod("client", FOREVER)
            await it.ready("client")
            code, _, err = await it.exec("client", "python", "-c", ASK, f"http://{pod['status']['podIP']}:8080/")
            assert code == 1
            assert "Connection refused" in err

    asyncio.run(scenario())


def test_with_a_sidecar_connections_arrive_there_with_their_destination(start: Start, block: Block) -> None:
    sidecar = (
        "import socket, sys\n"
        "server = socket.create_server((sys.argv[1], 15001))\n"
        "while True:\n"
        "    connection, peer = server.accept()\n"
        "    head = connection.recv(28)\n"
        "    source, target = socket.inet_ntoa(head[16:20]), socket.inet_ntoa(head[20:24])\n"
        "    ports = int.from_bytes(head[24:26], 'big'), int.from_bytes(head[26:28], 'big')\n"
        "    text = f'{source == peer[0]} {ports[0] == peer[1]} {target} {ports[1]}'\n"
        "    connection.sendall(text.encode())\n"
        "    connection.close()\n"
    )
    ask = (
        "import socket, sys, asyncio\n"
        "with socket.create_connection(('web', 80)) as s: print(s.recv(100).decode(), s.getpeername()[1])\n"
        "async def main():\n"
        "    r, w = await asyncio.open_connection('203.0.113.7', 9)\n"
        "    print((await r.read()).decode()); w.close()\n"
        "asyncio.run(main())\n"
        "app = socket.create_server(('0.0.0.0', 8080))\n"
        "print(app.getsockname())\n"
        "with socket.create_connection(('localhost', 8080)) as s: print(s.getpeername())\n"
    )

    async def scenario() -> None:
        async with start() as it:
            await service(it, "web")
            ip = (await it.api.get("services", "web", "default"))["spec"]["clusterIP"]
            command = ["python", "-c", f"import os, sys; sys.argv[1:] = [os.environ['TWIN']]\n{sidecar}"]
            init: dict[str, Any] = {
                "name": "istio-proxy",
                "image": "test/python:1",
                "restartPolicy": "Always",
                "command": command,
            }
            # The address is known only to the pod itself: the first free one.
            init["env"] = [{"name": "TWIN", "value": twin(str(block.pods[256]))}]
            await it.pod("client", {"command": ["sleep", "1000"]}, initContainers=[init])
            pod = await it.ready("client")
            assert pod["status"]["podIP"] == str(block.pods[256])
            code, out, err = 1, "", ""
            async with asyncio.timeout(20):
                while code and "refused" in err + "refused":
                    code, out, err = await it.exec("client", "python", "-c", ask, container="c0")
            assert err == ""
            assert out.splitlines() == [
                f"True True {ip} 80 80",
                "True True 203.0.113.7 9",
                "('0.0.0.0', 8080)",
                "('127.0.0.1', 8080)",
            ]

    asyncio.run(scenario())


def test_the_admin_port_is_envoys_unix_socket(start: Start) -> None:
    code = (
        "import http.server, os, socketserver\n"
        "class Server(socketserver.UnixStreamServer):\n"
        "    def get_request(self): return self.socket.accept()[0], ('', 0)\n"
        "path = os.environ['MESHDOJO_RUN'] + '/pods/' + os.environ['MESHDOJO_POD_UID'] + '/admin.sock'\n"
        "Server(path, http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )

    async def scenario() -> None:
        async with start() as it:
            await it.pod(
                "web",
                {
                    "command": ["python", "-c", code],
                    "readinessProbe": {"exec": {"command": ["sh", "-c", "test -S ../../../admin.sock"]}},
                },
            )
            await it.ready("web")
            assert await it.exec("web", "python", "-c", ASK, "http://localhost:15000/") == (0, "200\n", "")
            code_, out, _ = await it.exec(
                "web", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "localhost:15000/"
            )
            assert (code_, out) == (0, "200")
            reader, writer = await it.kubelet.connect("default", "web", 15000)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 200 " in await reader.readline()
            await closed(writer)

    asyncio.run(scenario())
