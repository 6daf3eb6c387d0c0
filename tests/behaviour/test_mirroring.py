"""Mirroring: a copy of the request to another service, whose answer nobody gets."""

from __future__ import annotations

import pytest
from tests.behaviour.world import HOST, World, versions

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: server}
spec:
  host: server
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: none, labels: {version: v3}}]
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: server}}
spec:
  hosts: [server]
  http:
    - route: [{{destination: {{host: server, subset: v1}}}}]
      {mirror}
"""
TO_V2 = "mirror: {host: server, subset: v2}"


def test_every_request_is_copied_and_the_copies_answer_nobody(world: World) -> None:
    world.apply(RULE + "---" + ROUTE.format(mirror=TO_V2))
    answers = world.many(20, "http://server/orders?x=1", {"x-test": "copied", "x-order": "7"}, method="POST")
    assert versions(answers) == {"v1": 20}
    assert world.seen("copied", "v1")[0] == 20
    count, last = world.arrived("copied", "v2", 20)
    assert count == 20
    assert last is not None
    assert (last["method"], last["path"]) == ("POST", "/orders?x=1")  # writes are copied too
    headers, original = last["headers"], answers[-1].received
    assert headers["host"] == original["host"] == "server"  # not server-shadow
    assert headers["x-order"] == "7"
    assert headers["x-request-id"]
    # The copy shows that a proxy made it.
    assert "x-forwarded-for" in headers
    assert "x-forwarded-for" not in original


@pytest.mark.parametrize(
    ("mirror", "low", "high"),
    [
        (f"{TO_V2}\n      mirrorPercentage: {{value: 50}}", 30, 90),
        ("mirrors: [{destination: {host: server, subset: v2}, percentage: {value: 50}}]", 30, 90),
        (f"{TO_V2}\n      mirrorPercentage: {{value: 0}}", 0, 0),
    ],
)
def test_a_share_of_the_requests_is_copied(world: World, mirror: str, low: int, high: int) -> None:
    """30 to 90 of 120: beyond six standard deviations on each side of a half."""
    test = f"share-{low}-{'mirrors' in mirror}"
    world.apply(RULE + "---" + ROUTE.format(mirror=mirror))
    world.many(120, headers={"x-test": test})
    assert low <= world.arrived(test, "v2", high)[0] <= high


def test_several_mirrors_get_a_copy_each(world: World) -> None:
    both = f"mirrors: [{{destination: {{host: server, subset: v2}}}}, {{destination: {{host: {HOST}, subset: v1}}}}]"
    world.apply(RULE + "---" + ROUTE.format(mirror=both))
    world.many(10, headers={"x-test": "both"})
    assert world.arrived("both", "v2", 10)[0] == 10
    assert world.arrived("both", "v1", 20)[0] == 20


@pytest.mark.parametrize(
    "target", ["{host: server, subset: none}", "{host: server, subset: nosuch}", "{host: nowhere}"]
)
def test_a_dead_mirror_hurts_nobody(world: World, target: str) -> None:
    world.apply(RULE + "---" + ROUTE.format(mirror=f"mirror: {target}"))
    answers = world.many(10)
    assert [one.status for one in answers] == [200] * 10
    assert versions(answers) == {"v1": 10}
