"""The same host at a gateway and in the mesh, routes merged at gateways, and routes left to others."""

from __future__ import annotations

import pytest
from tests.behaviour.test_mirroring import RULE
from tests.behaviour.world import GATEWAY, NAMESPACE, OTHER, World, versions

from meshdojo.cluster.errors import StatusError

EDGE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.behaviour.example"]}]
"""
HOST = {"host": "shop.behaviour.example"}
MESH_URL = f"http://server.{NAMESPACE}/"


def virtual_service(name: str, hosts: str, http: str, gateways: str = "", namespace: str = NAMESPACE) -> str:
    named = "".join(f"  {key}: {value}\n" for key, value in (("hosts", hosts), ("gateways", gateways)) if value)
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{named}  http: {http}\n"
    )


def to(version: str, more: str = "") -> str:
    return f"{{{more}route: [{{destination: {{host: server.{NAMESPACE}.svc.cluster.local, subset: {version}}}}}]}}"


def at(path: str) -> str:
    return f"match: [{{uri: {{prefix: {path}}}}}], "


def through_the_gateway(world: World, path: str = "/", number: int = 5, **headers: str) -> dict[str, int]:
    """How many answers came from each version; '' for those of the gateway itself."""
    answers = world.many(number, f"{GATEWAY}{path}", {**HOST, **headers}, source="outside")
    own = sum(answer.status != 200 for answer in answers)
    return {**versions(answer for answer in answers if answer.status == 200), **({"": own} if own else {})}


def test_a_route_for_the_gateway_does_not_reach_callers_in_the_mesh(world: World) -> None:
    world.apply(EDGE + "---" + RULE + virtual_service("edge", "[shop.behaviour.example]", f"[{to('v2')}]", "[edge]"))
    assert through_the_gateway(world) == {"v2": 5}
    assert set(versions(world.many(40, MESH_URL))) == {"v1", "v2"}


def test_one_virtual_service_for_both(world: World) -> None:
    hosts = "[shop.behaviour.example, server]"
    world.apply(EDGE + "---" + RULE + virtual_service("both", hosts, f"[{to('v2')}]", "[edge, mesh]"))
    assert through_the_gateway(world) == {"v2": 5}
    assert versions(world.many(5, MESH_URL)) == {"v2": 5}
    assert versions(world.many(5, MESH_URL, source="other")) == {"v2": 5}


def test_a_match_can_be_for_one_of_the_two(world: World) -> None:
    hosts = "[shop.behaviour.example, server]"
    http = f"[{to('v2', 'match: [{gateways: [edge]}], ')}, {to('v1')}]"
    world.apply(EDGE + "---" + RULE + virtual_service("both", hosts, http, "[edge, mesh]"))
    assert through_the_gateway(world) == {"v2": 5}
    assert versions(world.many(5, MESH_URL)) == {"v1": 5}


def test_every_host_is_refused_for_the_mesh(world: World) -> None:
    words = r"wildcard host \* is not allowed for virtual services bound to the mesh gateway"
    with pytest.raises(StatusError, match=words):
        world.apply(virtual_service("both", '["*"]', f"[{to('v2')}]", "[edge, mesh]"))


def test_routes_for_one_host_are_merged_at_a_gateway_but_not_in_the_mesh(world: World) -> None:
    """In the mesh the older of the two has the host to itself."""
    hosts = "[shop.behaviour.example, server]"
    world.apply(EDGE + "---" + RULE + virtual_service("first", hosts, f"[{to('v1', at('/a'))}]", "[edge, mesh]"))
    world.apply(virtual_service("second", hosts, f"[{to('v2', at('/b'))}]", "[edge, mesh]"))
    assert through_the_gateway(world, "/a") == {"v1": 5}
    assert through_the_gateway(world, "/b") == {"v2": 5}
    assert through_the_gateway(world, "/c") == {"": 5}
    assert versions(world.many(5, f"{MESH_URL}a")) == {"v1": 5}
    assert world.get(f"{MESH_URL}b").status == 404


def test_a_gateway_asks_conditions_before_a_route_without_any_whichever_is_older(world: World) -> None:
    """So that a route for some can be in an object of its own."""
    hosts = "[shop.behaviour.example]"
    world.apply(EDGE + "---" + RULE + virtual_service("everybody", hosts, f"[{to('v1')}]", "[edge]"))
    some = "match: [{headers: {tester: {exact: 'yes'}}}], "
    world.apply(virtual_service("some", hosts, f"[{to('v2', some)}]", "[edge]"))
    assert through_the_gateway(world) == {"v1": 5}
    assert through_the_gateway(world, tester="yes") == {"v2": 5}


def test_callers_may_have_a_virtual_service_of_their_own(world: World) -> None:
    """One that is exported to nobody else comes before the public one, although that is older."""
    host = f"[server.{NAMESPACE}.svc.cluster.local]"
    world.apply(RULE + virtual_service("everybody", host, f"[{to('v1')}]"))
    own = virtual_service("own", host, f"[{to('v2')}]", namespace=OTHER)
    world.apply(f'{own}  exportTo: ["."]\n')
    assert versions(world.many(5, MESH_URL)) == {"v1": 5}
    assert versions(world.many(5, MESH_URL, source="other")) == {"v2": 5}


def test_of_two_public_ones_the_older_counts_wherever_it_is(world: World) -> None:
    host = f"[server.{NAMESPACE}.svc.cluster.local]"
    world.apply(RULE + virtual_service("everybody", host, f"[{to('v1')}]"))
    world.apply(virtual_service("later", host, f"[{to('v2')}]", namespace=OTHER))
    assert versions(world.many(5, MESH_URL, source="other")) == {"v1": 5}


def test_a_route_can_be_left_to_another_virtual_service(world: World) -> None:
    """The root's conditions and the delegate's both hold; what lies outside of the root's is left out."""
    delegate = f"[{to('v1', at('/api/old'))}, {to('v2', at('/elsewhere'))}, {to('v2')}]"
    root = f"[{{{at('/api')}delegate: {{name: api, namespace: {OTHER}}}}}, {to('v1')}]"
    world.apply(
        EDGE
        + "---"
        + RULE
        + virtual_service("api", "", delegate, namespace=OTHER)
        + virtual_service("root", "[shop.behaviour.example, server]", root, "[edge, mesh]")
    )
    for expected, path in (("v1", "/api/old"), ("v2", "/api/new"), ("v1", "/elsewhere"), ("v1", "/")):
        assert through_the_gateway(world, path) == {expected: 5}
        assert versions(world.many(5, f"http://server.{NAMESPACE}{path}")) == {expected: 5}


def test_a_delegate_that_is_not_there_leaves_its_part_unrouted(world: World) -> None:
    root = f"[{{{at('/api')}delegate: {{name: nosuch}}}}, {to('v1', at('/shop'))}]"
    world.apply(EDGE + "---" + RULE + virtual_service("root", "[server]", root, "[mesh]"))
    assert world.get(f"{MESH_URL}api").status == 404
    assert versions(world.many(5, f"{MESH_URL}shop")) == {"v1": 5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            virtual_service("d", "", f"[{to('v1')}]", "[edge]"),
            "delegate virtual service must have no gateways specified",
        ),
        (virtual_service("d", "", "[{delegate: {name: e}}]"), "delegate HTTP route cannot contain delegate"),
        (
            virtual_service("d", "[server]", f"[{to('v1', 'name: x, delegate: {name: e}, ')}]"),
            "root HTTP route x must not specify route",
        ),
    ],
)
def test_what_is_no_delegate_is_refused(world: World, text: str, words: str) -> None:
    with pytest.raises(StatusError, match=words):
        world.apply(text)


def test_a_cookie_keeps_a_customer_with_a_pod(world: World) -> None:
    """At a gateway, too, the answer brings the cookie that is missing."""
    rule = RULE.replace(
        "  subsets:", "  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 60s}}}}\n  subsets:"
    )
    http = f"[{{route: [{{destination: {{host: server.{NAMESPACE}.svc.cluster.local}}}}]}}]"
    world.apply(EDGE + "---" + rule + virtual_service("edge", "[shop.behaviour.example]", http, "[edge]"))
    first = world.get(f"{GATEWAY}/", HOST, source="outside")
    given = first.header("set-cookie") or ""
    assert given.endswith("; Max-Age=60; HttpOnly")
    again = world.many(10, f"{GATEWAY}/", {**HOST, "cookie": given.partition(";")[0]}, source="outside")
    assert {answer.pod for answer in again} == {first.pod}
