"""The access log of the demo profile: what a proxy writes about the answers that are its own, and the whole line."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest
from tests.behaviour.logs import Entry
from tests.behaviour.test_mirroring import RULE
from tests.behaviour.world import HOST, NAMESPACE, Answer, World

ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - {route}
"""


def traced(world: World, url: str = "http://server/", headers: Mapping[str, str] | None = None) -> tuple[Answer, Entry]:
    request_id = uuid4().hex
    answer = world.get(url, {"x-request-id": request_id, **(headers or {})})
    [entry] = world.log("client", request_id)
    return answer, entry


def test_a_call_leaves_a_line_in_both_proxies(world: World) -> None:
    answer, client = traced(world, "http://server/orders?x=1", {"user-agent": "test"})
    assert (client.method, client.path, client.protocol) == ("GET", "/orders?x=1", "HTTP/1.1")
    assert (client.verdict, client.termination, client.transport) == ("200 - via_upstream", "-", "-")
    assert (client.received, int(client.sent)) == ("0", len(answer.body))
    assert (client.authority, client.agent, client.forwarded) == ("server", "test", "-")
    assert (client.cluster, client.sni, client.route) == (f"outbound|80||{HOST}", "-", "default")
    assert client.upstream.endswith(":8080")
    assert int(client.upstream_time) <= int(client.duration) + 1
    [server] = world.log("server", client.id)
    assert (server.verdict, server.cluster, server.route) == ("200 - via_upstream", "inbound|8080||", "default")
    assert server.sni == f"outbound_.80_._.{HOST}"
    assert server.local.startswith("127.0.0.6:")
    assert server.to == client.upstream  # the pod's own address and port
    assert server.peer == client.local  # the client's pod


def test_a_route_without_a_name_leaves_none(world: World) -> None:
    world.apply(ROUTES.format(route="{route: [{destination: {host: server}}]}"))
    assert traced(world)[1].route == "-"
    world.apply(ROUTES.format(route="{name: mine, route: [{destination: {host: server}}]}"))
    assert traced(world)[1].route == "mine"


@pytest.mark.parametrize(
    ("route", "status", "body", "verdict"),
    [
        ("{match: [{uri: {exact: /no}}], route: [{destination: {host: server}}]}", 404, "", "404 NR route_not_found"),
        ("{route: [{destination: {host: server, subset: nosuch}}]}", 503, "", "503 NC cluster_not_found"),
        ("{route: [{destination: {host: nosuch}}]}", 503, "", "503 NC cluster_not_found"),
        (
            "{route: [{destination: {host: server, subset: none}}]}",
            503,
            "no healthy upstream",
            "503 UH no_healthy_upstream",
        ),
        ("{directResponse: {status: 418}}", 418, "", "418 - direct_response"),
        ("{redirect: {uri: /new}}", 301, "", "301 - direct_response"),
    ],
)
def test_answers_of_the_proxy_itself(world: World, route: str, status: int, body: str, verdict: str) -> None:
    world.apply(RULE + "---" + ROUTES.format(route=route))
    answer, entry = traced(world)
    assert (answer.status, answer.body, entry.verdict) == (status, body, verdict)
    assert entry.upstream == "-"


def test_an_unknown_host_goes_through(world: World) -> None:
    """Whether somebody answers there is not the proxy's affair."""
    _, entry = traced(world, f"http://server.{NAMESPACE}:80/", {"host": "stranger.example"})
    assert (entry.cluster, entry.route) == ("PassthroughCluster", "allow_any")


def test_a_client_that_goes_away(world: World) -> None:
    world.apply(ROUTES.format(route="{timeout: 0.3s, route: [{destination: {host: server}}]}"))
    _, entry = traced(world, headers={"x-delay": "1"})
    [server] = world.log("server", entry.id)
    assert (entry.verdict, server.verdict) == ("504 UT response_timeout", "0 DC downstream_remote_disconnect")
    assert (server.sent, entry.sent) == ("0", str(len("upstream request timeout")))


def test_a_port_where_nobody_listens_is_the_server_s_trouble(world: World) -> None:
    world.apply("""
apiVersion: v1
kind: Service
metadata: {name: deaf}
spec:
  selector: {app: server}
  ports: [{name: http, port: 80, targetPort: 9999}]
""")
    _, entry = traced(world, "http://deaf/")
    assert entry.verdict == "503 - via_upstream"
    [server] = world.log("server", entry.id)
    assert (server.status, server.flags, server.cluster) == ("503", "URX,UF", "inbound|9999||")
    assert server.details.startswith("upstream_reset_before_response_started{remote_connection_failure")
