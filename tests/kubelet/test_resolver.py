"""Which endpoint serves an address, and what a name means."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.cluster.informer import Informer
from meshdojo.kubelet.resolver import Resolver
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.store import Store
from meshdojo.network import Block

BLOCK = Block(0)
WEB_IP, ALONE_IP = "127.200.0.50", "127.200.0.51"


def service(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1"}, "spec": spec}


def slice_of(name: str, port: int, *endpoints: Object, port_name: str = "http") -> Object:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"name": f"{name}-1", "namespace": "default", "labels": labels, "resourceVersion": "1"},
        "ports": [{"name": port_name, "port": port}],
        "endpoints": list(endpoints),
    }


def endpoint(ip: str, ready: bool = True, **fields: Any) -> Object:
    return {"addresses": [ip], "conditions": {"ready": ready}, **fields}


@pytest.fixture(name="resolver")
def resolver_fixture() -> Resolver:
    http = [{"name": "http", "port": 80, "protocol": "TCP"}]
    client = Api(Store(), BLOCK)
    services, slices = Informer(client, "services"), Informer(client, "endpointslices.discovery.k8s.io")
    resolver = Resolver(BLOCK, services, slices)
    services._replace(
        [
            service("web", clusterIP=WEB_IP, ports=http),
            service("alone", clusterIP=ALONE_IP, ports=http),
            service("headless", clusterIP="None", ports=http),
            service("elsewhere", type="ExternalName", externalName="example.com"),
            service("alias", type="ExternalName", externalName="web.default.svc.cluster.local"),
        ]
    )
    slices._replace(
        [
            slice_of("web", 8080, endpoint("127.64.1.1"), endpoint("127.64.1.2"), endpoint("127.64.1.3", ready=False)),
            slice_of("headless", 80, endpoint("127.64.1.4", hostname="db-0"), endpoint("127.64.1.5", ready=False)),
        ]
    )
    return resolver


def test_a_cluster_ip_is_spread_over_its_ready_endpoints(resolver: Resolver) -> None:
    assert {resolver.endpoint(WEB_IP, 80) for _ in range(100)} == {("127.64.1.1", 8080), ("127.64.1.2", 8080)}


@pytest.mark.parametrize(("address", "port"), [(WEB_IP, 81), (ALONE_IP, 80)])
def test_a_service_without_such_a_port_or_without_endpoints_refuses(
    resolver: Resolver, address: str, port: int
) -> None:
    with pytest.raises(ConnectionRefusedError):
        resolver.endpoint(address, port)
    assert resolver.answer({"connect": "127.64.1.9", "address": address, "port": port}) == {"error": "ECONNREFUSED"}


@pytest.mark.parametrize(
    ("address", "port", "real"),
    [
        ("127.64.1.1", 80, ("127.64.1.1", 61080)),
        ("127.64.1.1", 8080, ("127.64.1.1", 8080)),
        ("127.64.0.1", 443, ("127.64.0.1", 443)),
        ("192.0.2.1", 80, ("192.0.2.1", 80)),
    ],
)
def test_pods_serve_low_ports_on_mapped_ones(
    resolver: Resolver, address: str, port: int, real: tuple[str, int]
) -> None:
    assert resolver.endpoint(address, port) == real


@pytest.mark.parametrize("name", ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "WEB."])
def test_the_forms_of_a_services_name(resolver: Resolver, name: str) -> None:
    expected = {"unknown": True} if name == "WEB." else {"addresses": [WEB_IP]}
    assert resolver.lookup("default", name) == expected


@pytest.mark.parametrize(
    ("namespace", "name", "answer"),
    [
        ("default", "headless", {"addresses": ["127.64.1.4"]}),
        ("default", "db-0.headless", {"addresses": ["127.64.1.4"]}),
        ("default", "db-1.headless", {"missing": True}),
        ("default", "elsewhere", {"external": "example.com"}),
        ("default", "alias", {"addresses": [WEB_IP]}),
        ("default", "nosuch", {"missing": True}),
        ("default", "nosuch.default", {"missing": True}),
        ("default", "web.default.svc.nosuch", {"unknown": True}),
        ("default", "web.nosuch.svc", {"missing": True}),
        ("other", "web", {"missing": True}),
        ("other", "web.default", {"addresses": [WEB_IP]}),
        ("default", "web.nosuch.svc.cluster.local", {"missing": True}),
        ("default", "127-64-1-1.default.pod.cluster.local", {"addresses": ["127.64.1.1"]}),
        ("default", "example.com", {"unknown": True}),
    ],
)
def test_what_names_mean(resolver: Resolver, namespace: str, name: str, answer: dict[str, Any]) -> None:
    assert resolver.lookup(namespace, name) == answer


def test_session_affinity_keeps_a_client_at_one_endpoint(resolver: Resolver) -> None:
    sticky = service("web", clusterIP=WEB_IP, sessionAffinity="ClientIP", ports=[{"name": "http", "port": 80}])
    resolver._services._replace([sticky | {"metadata": sticky["metadata"] | {"resourceVersion": "2"}}])
    assert len({resolver.endpoint(WEB_IP, 80, "127.64.1.9") for _ in range(50)}) == 1


def test_the_socket(resolver: Resolver, run_directory: Path) -> None:
    async def scenario() -> None:
        path = run_directory / "network.sock"
        await resolver.serve(path)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"lookup": "default", "name": "web"}\n{"connect": "", "address": "127.64.1.1", "port": 80}\n')
        assert json.loads(await reader.readline()) == {"addresses": [WEB_IP]}
        assert json.loads(await reader.readline()) == {"address": "127.64.1.1", "port": 61080}
        writer.write(b"nonsense\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await resolver.close()

    asyncio.run(scenario())
