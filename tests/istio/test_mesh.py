"""Real Envoys, fed by the real control plane, with real requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.istio.world import App, Mesh, Pod, mesh, send, service_objects, within

pytestmark = pytest.mark.anyio

SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def routes(http: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web]
  http: {http}
"""


class Fleet(Mesh):
    """A client and two versions of web."""

    client: Pod
    v1: Pod
    v2: Pod
    address: str

    async def request(self, path: str = "/", **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await self.client.get(self.address, 8080, "web", path, named)).body


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with mesh(Fleet) as found:
        found.client = await found.pod("client", {"app": "client"})
        found.v1 = await found.pod("web-v1", {"app": "web", "version": "v1"})
        found.v2 = await found.pod("web-v2", {"app": "web", "version": "v2"})
        found.address = found.service_ip(1)
        ports = [("http", 8080, 8080), ("http-low", 80, 8080), ("tcp-x", 9100, 8080), ("other", 9000, 8080)]
        found.apply(service_objects("web", found.address, {"app": "web"}, [found.v1, found.v2], ports))
        found.apply(SUBSETS)
        await found.ready(found.client, found.v1, found.v2)
        await found.synced()
        yield found


async def test_weights_are_kept(fleet: Fleet) -> None:
    fleet.apply(
        routes(
            "[{route: [{destination: {host: web, subset: v1}, weight: 80}, "
            "{destination: {host: web, subset: v2}, weight: 20}]}]"
        )
    )
    await fleet.synced()
    reader, writer = await fleet.client.open(fleet.address, 8080)
    seen = Counter([(await send(reader, writer, "web")).body for _ in range(400)])
    writer.close()
    assert set(seen) == {b"web-v1", b"web-v2"}
    assert within(seen[b"web-v2"], 400, 0.2), seen


async def test_matches_choose_the_subset(fleet: Fleet) -> None:
    fleet.apply(
        routes("""
  - match: [{headers: {x-user: {exact: ann}}}, {uri: {prefix: /new}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v1}}]
""")
    )
    await fleet.synced()
    assert await fleet.request() == b"web-v1"
    assert await fleet.request(x_user="ann") == b"web-v2"
    assert await fleet.request(x_user="anna") == b"web-v1"
    assert await fleet.request("/newest") == b"web-v2"


async def test_mutual_tls_between_sidecars_is_automatic(fleet: Fleet) -> None:
    answer = await fleet.client.get(fleet.address, 8080, "web", headers={"x-forwarded-client-cert": "forged"})
    assert answer.headers["server"] == "envoy"
    assert "x-envoy-decorator-operation" not in answer.headers
    app = fleet.v1.app if fleet.v1.app and fleet.v1.app.requests else fleet.v2.app
    assert app is not None
    [(_, headers)] = app.requests
    certificate = headers["x-forwarded-client-cert"]
    assert certificate.startswith(f"By=spiffe://cluster.local/ns/fleet/sa/{app.name};Hash=")
    assert certificate.endswith(';Subject="";URI=spiffe://cluster.local/ns/fleet/sa/client')
    assert "x-forwarded-for" not in headers
    assert headers["x-request-id"]


@pytest.mark.parametrize("port", [80, 9000, 9100])
async def test_low_sniffed_and_tcp_ports_lead_to_the_pods(fleet: Fleet, port: int) -> None:
    answer = await fleet.client.get(fleet.address, port, "web")
    assert answer.status == 200
    assert answer.body in (b"web-v1", b"web-v2")
    # What the client's sidecar takes for TCP gets its headers from the server's.
    assert answer.headers["server"] == ("istio-envoy" if port == 9100 else "envoy")


async def test_a_plain_client_is_served_until_strict(fleet: Fleet) -> None:
    outsider = await fleet.pod("outsider", {"app": "outsider"}, sidecar=False)
    await fleet.synced()
    answer = await outsider.get(fleet.v1.ip, 8080, "web")
    assert (answer.status, answer.headers["server"]) == (200, "istio-envoy")
    assert "x-envoy-decorator-operation" in answer.headers
    fleet.apply(PERMISSION.format(mode="STRICT"))
    await fleet.synced()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await outsider.get(fleet.v1.ip, 8080, "web")
    assert (await fleet.client.get(fleet.address, 8080, "web")).status == 200


PERMISSION = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default}}
spec: {{mtls: {{mode: {mode}}}}}
"""


async def test_mutual_tls_can_be_switched_off(fleet: Fleet) -> None:
    fleet.apply(PERMISSION.format(mode="DISABLE"))
    await fleet.synced()
    answer = await fleet.client.get(fleet.address, 8080, "web")
    assert answer.status == 200
    requests = [one for pod in (fleet.v1, fleet.v2) if pod.app for one in pod.app.requests]
    assert "x-forwarded-client-cert" not in requests[-1][1]


async def test_unknown_subsets_and_empty_ones_differ(fleet: Fleet) -> None:
    fleet.apply(
        routes(
            "[{match: [{uri: {prefix: /a}}], route: [{destination: {host: web, subset: nope}}]}, "
            "{match: [{uri: {prefix: /b}}], route: [{destination: {host: nowhere}}]}]"
        )
    )
    await fleet.synced()
    for path in ("/a", "/b"):
        answer = await fleet.client.get(fleet.address, 8080, "web", path)
        assert (answer.status, answer.body) == (503, b"")
    missing = await fleet.client.get(fleet.address, 8080, "web", "/c")
    assert (missing.status, missing.body) == (404, b"")
    fleet.apply(SUBSETS.replace("version: v2", "version: v3"))
    fleet.apply(routes("[{route: [{destination: {host: web, subset: v2}}]}]"))
    await fleet.synced()
    empty = await fleet.client.get(fleet.address, 8080, "web")
    assert (empty.status, empty.body) == (503, b"no healthy upstream")


async def test_a_new_subset_and_its_route_come_without_a_gap(fleet: Fleet) -> None:
    """Clusters and their endpoints arrive before the route that needs them."""
    reader, writer = await fleet.client.open(fleet.address, 8080)
    seen: set[int] = set()
    for number in range(20):
        rule = SUBSETS.replace("name: v2", f"name: n{number}")
        fleet.apply(rule)
        fleet.apply(routes(f"[{{route: [{{destination: {{host: web, subset: n{number}}}}}]}}]"))
        for _ in range(5):
            seen.add((await send(reader, writer, "web")).status)
        await fleet.synced()
        assert (await send(reader, writer, "web")).body == b"web-v2"
    writer.close()
    assert seen == {200}


async def test_rewrites_redirects_faults_and_headers(fleet: Fleet) -> None:
    fleet.apply(
        routes("""
  - match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new, authority: else.example}
    headers:
      request: {set: {x-set: a}, remove: [x-gone]}
      response: {add: {x-answer: b}}
    route: [{destination: {host: web, subset: v1}}]
  - match: [{uri: {regex: "/r[0-9]+"}}]
    redirect: {uri: /there, authority: other.example, redirectCode: 302}
  - match: [{uri: {exact: /tea}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {exact: /broken}}]
    fault: {abort: {httpStatus: 507, percentage: {value: 100}}}
    route: [{destination: {host: web, subset: v1}}]
""")
    )
    await fleet.synced()
    answer = await fleet.client.get(fleet.address, 8080, "web", "/old/x", {"x-gone": "1"})
    assert answer.headers["x-answer"] == "b"
    assert fleet.v1.app is not None
    line, headers = fleet.v1.app.requests[-1]
    assert line == "GET /new/x HTTP/1.1"
    assert (headers["host"], headers["x-set"], "x-gone" in headers) == ("else.example", "a", False)
    moved = await fleet.client.get(fleet.address, 8080, "web", "/r12")
    assert (moved.status, moved.headers["location"]) == (302, "http://other.example/there")
    tea = await fleet.client.get(fleet.address, 8080, "web", "/tea")
    assert (tea.status, tea.body) == (418, b"short and stout")
    assert (await fleet.client.get(fleet.address, 8080, "web", "/broken")).status == 507


async def test_retries_repeat_what_the_route_says(fleet: Fleet) -> None:
    fleet.apply(
        routes(
            "[{retries: {attempts: 3, retryOn: 5xx, backoff: 1ms}, route: [{destination: {host: web, subset: v1}}]}]"
        )
    )
    await fleet.synced()
    assert fleet.v1.app is not None
    fleet.v1.app.status = 500
    assert (await fleet.client.get(fleet.address, 8080, "web")).status == 500
    assert len(fleet.v1.app.requests) == 4
    assert fleet.v1.app.requests[-1][1]["x-envoy-attempt-count"] == "4"


async def test_unknown_hosts_pass_or_are_blocked(fleet: Fleet) -> None:
    other = await fleet.pod("other", sidecar=False, app=App("other"))
    await fleet.synced()
    assert (await fleet.client.get(other.ip, 8080, "unknown.example")).body == b"other"
    fleet.state.set_mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    fleet.apply("")
    await fleet.synced()
    assert (await fleet.client.get(other.ip, 8080, "unknown.example")).status == 502
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await fleet.client.get(other.ip, 7777, "unknown.example")


async def test_a_refusal_is_kept_with_its_reason(fleet: Fleet) -> None:
    fleet.apply(routes("[{match: [{uri: {regex: '('}}], route: [{destination: {host: web, subset: v1}}]}]"))

    def refused() -> set[tuple[str, str]]:
        return {(one.proxy.id, one.resources[0].name) for one in fleet.refusals}

    # Each proxy refuses one port's routes after another, in an order of its own.
    ports = ("80", "8080", "web.fleet.svc.cluster.local:9000")
    everybody = {(stream.proxy.id, port) for stream in fleet.server.streams.values() for port in ports}
    await asyncio.wait_for(fleet.server.synced(lambda server: refused() == everybody and server.is_synced()), 60)
    refusal = next(one for one in fleet.refusals if one.resources[0].name == "8080")
    assert "missing )" in refusal.reason
    assert [one.origins for one in refusal.resources] == [("VirtualService/fleet/web",)]
    [stream] = [one for one in fleet.server.streams.values() if one.proxy.id == refusal.proxy.id]
    assert stream.subscriptions[refusal.type_url].state == "ERROR"
    fleet.refusals.clear()
    fleet.apply(routes("[{route: [{destination: {host: web, subset: v1}}]}]"))
    await fleet.synced()
    assert stream.subscriptions[refusal.type_url].state == "SYNCED"
    assert await fleet.request() == b"web-v1"


async def test_proxies_come_back_to_a_new_istiod(fleet: Fleet) -> None:
    old, path = fleet.server, fleet.xds
    fleet.restart_server()
    await fleet.server.start(path)
    await old.stop()
    fleet.apply(routes("[{route: [{destination: {host: web, subset: v2}}]}]"))
    await asyncio.wait_for(fleet.server.synced(lambda server: len(server.streams) == 3 and server.is_synced()), 60)
    assert await fleet.request() == b"web-v2"
