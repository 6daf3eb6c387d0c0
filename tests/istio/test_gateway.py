"""A real Envoy as ingress gateway."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from tests.istio.world import Answer, Mesh, Pod, mesh, send, service_objects

from meshdojo.istio.ca import CertificateAuthority, KeyPair

pytestmark = pytest.mark.anyio

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [web.example, "*.wild.example"]}
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [web.example, a.wild.example, safe.example, mutual.example]
  gateways: [edge]
  http: [{route: [{destination: {host: web}}]}]
"""
TLS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [safe.example], tls: {httpsRedirect: true}}
  - port: {number: 443, name: safe, protocol: HTTPS}
    hosts: [safe.example]
    tls: {mode: SIMPLE, credentialName: safe}
  - port: {number: 443, name: mutual, protocol: HTTPS}
    hosts: [mutual.example]
    tls: {mode: MUTUAL, credentialName: mutual}
  - port: {number: 443, name: late, protocol: HTTPS}
    hosts: [late.example]
    tls: {mode: SIMPLE, credentialName: late}
"""


class Edge(Mesh):
    """A gateway, and web behind it."""

    gateway: Pod
    web: Pod

    async def get(self, host: str, path: str = "/", port: int = 8080) -> Answer:
        reader, writer = await asyncio.open_connection(self.gateway.ip, port)
        try:
            return await asyncio.wait_for(send(reader, writer, host, path), 60)
        finally:
            writer.close()

    async def get_tls(self, host: str, client: ssl.SSLContext) -> Answer:
        reader, writer = await asyncio.open_connection(self.gateway.ip, 8443, ssl=client, server_hostname=host)
        try:
            return await asyncio.wait_for(send(reader, writer, host), 60)
        finally:
            writer.close()


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with mesh(Edge) as found:
        labels = {"istio": "ingressgateway"}
        found.gateway = await found.pod("gateway", labels, role="router", namespace="istio-system")
        found.web = await found.pod("web", {"app": "web"})
        ports = [("http2", 80, 8080), ("https", 443, 8443)]
        address = found.service_ip(2)
        found.apply(service_objects("ingress", address, labels, [found.gateway], ports, "istio-system"))
        found.apply(service_objects("web", found.service_ip(1), {"app": "web"}, [found.web]))
        await found.ready(found.gateway, found.web)
        yield found


async def test_nothing_bound_refuses(edge: Edge) -> None:
    await edge.synced()
    with pytest.raises(ConnectionRefusedError):
        await edge.get("web.example")


async def test_hosts_are_routed_and_others_are_404(edge: Edge) -> None:
    edge.apply(GATEWAY)
    await edge.synced()
    assert (await edge.get("web.example")).status == 404  # no route yet
    edge.apply(ROUTE)
    await edge.synced()
    answer = await edge.get("web.example")
    assert (answer.status, answer.body, answer.headers["server"]) == (200, b"web", "istio-envoy")
    assert (await edge.get("WEB.example:8080")).status == 200
    assert (await edge.get("a.wild.example")).status == 200
    other = await edge.get("other.example")
    assert (other.status, other.body) == (404, b"")
    assert edge.web.app is not None
    headers = edge.web.app.requests[0][1]
    assert headers["x-forwarded-client-cert"].endswith("URI=spiffe://cluster.local/ns/istio-system/sa/gateway")
    assert headers["x-forwarded-for"]


async def test_routes_of_several_virtual_services_are_merged(edge: Edge) -> None:
    second = yaml.safe_load(ROUTE)
    second["metadata"]["name"] = "second"
    second["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    first = yaml.safe_load(ROUTE)
    first["spec"]["http"] = [{"match": [{"uri": {"prefix": "/tea"}}], "directResponse": {"status": 418}}]
    edge.apply(GATEWAY)
    edge.apply(yaml.safe_dump_all([second, first]))
    await edge.synced()
    assert (await edge.get("web.example", "/tea")).status == 418
    assert (await edge.get("web.example", "/other")).status == 200


def secret(name: str, pair: KeyPair, root: bytes = b"") -> str:
    data = {"tls.crt": pair.chain, "tls.key": pair.key} | ({"ca.crt": root} if root else {})
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "istio-system"}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


def client_context(authority: CertificateAuthority, pair: KeyPair | None, directory: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.root.decode())
    if pair is not None:
        file = directory / "client.pem"
        file.write_bytes(pair.key + pair.chain)
        context.load_cert_chain(file)
    return context


async def test_https_simple_and_mutual(edge: Edge, tmp_path: Path) -> None:
    authority = CertificateAuthority.create("example")
    edge.apply(TLS)
    edge.apply(ROUTE)
    edge.apply(secret("safe", authority.serving(["safe.example"])))
    edge.apply(secret("mutual", authority.serving(["mutual.example"]), authority.root))
    await edge.synced()
    nobody = client_context(authority, None, tmp_path)
    assert (await edge.get_tls("safe.example", nobody)).body == b"web"
    moved = await edge.get("safe.example", "/x")
    assert (moved.status, moved.headers["location"]) == (301, "https://safe.example/x")
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await edge.get_tls("mutual.example", nobody)
    somebody = authority.issue([x509.DNSName("somebody")], datetime.now(UTC))
    assert (await edge.get_tls("mutual.example", client_context(authority, somebody, tmp_path))).body == b"web"
    assert edge.web.app is not None
    certificate = edge.web.app.requests[-1][1]["x-forwarded-client-cert"]
    assert "DNS=somebody" in certificate
    assert ",By=spiffe://cluster.local/ns/fleet/sa/web;" in certificate
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await edge.get_tls("unknown.example", nobody)


async def test_a_missing_secret_fails_only_its_own_host_until_it_comes(edge: Edge, tmp_path: Path) -> None:
    authority = CertificateAuthority.create("example")
    edge.apply(TLS)
    edge.apply(ROUTE.replace("mutual.example", "late.example"))
    edge.apply(secret("safe", authority.serving(["safe.example"])))
    await edge.synced()
    nobody = client_context(authority, None, tmp_path)
    assert (await edge.get_tls("safe.example", nobody)).body == b"web"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await edge.get_tls("late.example", nobody)
    pair = authority.serving(["late.example"])
    edge.apply(secret("late", pair))
    await edge.synced()
    assert (await edge.get_tls("late.example", nobody)).body == b"web"
    edge.delete(secret("late", pair))
    await edge.synced()
    assert (await edge.get_tls("late.example", nobody)).body == b"web"
