"""The server as a whole: a restart on the same journal, stopping with open watches, an address in use."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from meshdojo.embedded.certificates import write_serving_certificate
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.bootstrap import NAMESPACES, bootstrap
from meshdojo.kubernetes.journal import Journal
from meshdojo.kubernetes.requests import ADMIN
from meshdojo.kubernetes.server import Server
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster, FakeNode


def served(directory: Path, node: FakeNode, port: int = 0) -> tuple[Api, Server]:
    write_serving_certificate(directory, ["127.0.0.1"])
    api = Api(Store(Journal(directory / "journal")), Block(0), tokens={"secret": ADMIN})
    certificate, key = directory / "server.crt", directory / "server.key"
    return api, Server(api, node, host="127.0.0.1", port=port, certificate=certificate, key=key)


def test_a_restart_finds_everything_again(tmp_path: Path, cluster: Cluster) -> None:
    async def start(port: int) -> tuple[list[str], str, int]:
        api, _ = served(tmp_path, cluster.node)
        await bootstrap(api, host="127.0.0.1", port=port)
        namespaces = [obj["metadata"]["name"] for obj in (await api.list("namespaces")).items]
        service = await api.get("services", "kubernetes", "default")
        (slice_,) = (await api.list("endpointslices.discovery.k8s.io", "default")).items
        await api.close()
        return namespaces, service["metadata"]["uid"], slice_["ports"][0]["port"]

    first, second = asyncio.run(start(1111)), asyncio.run(start(2222))

    assert first[0] == sorted(NAMESPACES)
    assert second[:2] == first[:2]
    assert (first[2], second[2]) == (1111, 2222)


def test_the_service_of_the_api_has_the_first_address(cluster: Cluster) -> None:
    service = cluster.run(cluster.api.get("services", "kubernetes", "default"))

    assert service["spec"]["clusterIP"] == "127.200.0.1"
    assert service["spec"]["ports"][0]["port"] == 443


def test_stopping_ends_watches_and_lets_go_of_the_port(tmp_path: Path, cluster: Cluster) -> None:
    async def scenario() -> str:
        api, server = served(tmp_path, cluster.node)
        await server.start()
        await bootstrap(api, host="127.0.0.1", port=server.port)
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        url = f"https://127.0.0.1:{server.port}/api/v1/pods"
        headers = {"authorization": "Bearer secret"}
        async with httpx.AsyncClient(verify=context, headers=headers) as client:
            async with client.stream("GET", url, params={"watch": "1"}) as answer:
                stopping = asyncio.create_task(server.stop())
                body = await answer.aread()
            await stopping
        await api.close()
        socket.create_server(("127.0.0.1", server.port)).close()
        return body.decode()

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == ""


def test_an_address_in_use_is_an_error(tmp_path: Path, cluster: Cluster) -> None:
    async def scenario() -> None:
        api, server = served(tmp_path, cluster.node, cluster.server.port)
        try:
            with pytest.raises(OSError, match="Address already in use"):
                await server.start()
        finally:
            await api.close()

    asyncio.run(scenario())
