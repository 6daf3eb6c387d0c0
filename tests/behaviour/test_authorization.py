"""AuthorizationPolicy: who may ask for what, and in which words the others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.behaviour.world import World

POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}}}
spec: {spec}
"""
# A connection that was pooled before answers once more by the old rules, and there is one to each of the four pods.
# That the last of so many requests is the first to meet one of them happens less than once in 100 million tests.
ENOUGH = 80
SERVER = "selector: {matchLabels: {app: server}}"
REFUSED = "RBAC: access denied"


def policy(action: str, rules: str = "", name: str = "policy") -> str:
    given = f", rules: {rules}" if rules else ""
    return POLICY.format(name=name, spec=f"{{{SERVER}, action: {action}{given}}}")


def status(world: World, source: str = "client", **request: Any) -> int:
    """The status that a request gets from a source in the end."""
    url = f"http://server.behaviour{request.pop('path', '/')}"
    answer = world.many(ENOUGH, url, source=source, **request)[-1]
    assert answer.status in (200, 403), answer
    if answer.status == 403:
        assert answer.body == REFUSED
    return answer.status


def statuses(world: World, **request: Any) -> tuple[int, int, int]:
    """From a pod of the same namespace, of another one, and of none in the mesh."""
    client, other, outside = (status(world, source, **request) for source in ("client", "other", "outside"))
    return client, other, outside


# (action, rules, status for: client of the namespace, client of another one, client outside the mesh)
@pytest.mark.parametrize(
    ("action", "rules", "expected"),
    [
        ("ALLOW", "", (403, 403, 403)),
        ("ALLOW", "[{}]", (200, 200, 200)),
        ("DENY", "[{}]", (403, 403, 403)),
        ("AUDIT", "[{}]", (200, 200, 200)),
        ("ALLOW", "[{from: [{source: {namespaces: [behaviour]}}]}]", (200, 403, 403)),
        ("ALLOW", '[{from: [{source: {namespaces: ["behaviour*"]}}]}]', (200, 200, 403)),
        ("DENY", "[{from: [{source: {namespaces: [behaviour]}}]}]", (403, 200, 200)),
        # Who shows no certificate is in no namespace, and so not in this one.
        ("DENY", "[{from: [{source: {notNamespaces: [behaviour]}}]}]", (200, 403, 403)),
        ("ALLOW", '[{from: [{source: {principals: ["cluster.local/ns/behaviour/sa/default"]}}]}]', (200, 403, 403)),
        ("ALLOW", '[{from: [{source: {principals: ["*/sa/default"]}}]}]', (200, 200, 403)),
        ("ALLOW", '[{from: [{source: {principals: ["cluster.local/ns/behaviour*"]}}]}]', (200, 200, 403)),
        ("ALLOW", '[{from: [{source: {principals: ["*"]}}]}]', (200, 200, 403)),
        ("DENY", '[{from: [{source: {notPrincipals: ["*"]}}]}]', (200, 200, 403)),
        ("ALLOW", "[{from: [{source: {serviceAccounts: [default]}}]}]", (200, 403, 403)),
        ("ALLOW", "[{from: [{source: {serviceAccounts: [behaviour-other/default]}}]}]", (403, 200, 403)),
        ("ALLOW", "[{when: [{key: source.namespace, values: [behaviour-other]}]}]", (403, 200, 403)),
        ("ALLOW", "[{when: [{key: source.namespace, notValues: [behaviour-other]}]}]", (200, 403, 200)),
        # Either of two senders; and both of two conditions.
        (
            *("ALLOW", "[{from: [{source: {namespaces: [a]}}, {source: {namespaces: [behaviour-other]}}]}]"),
            (403, 200, 403),
        ),
        ("ALLOW", '[{from: [{source: {namespaces: ["*"], notPrincipals: ["*/ns/behaviour/*"]}}]}]', (200, 200, 403)),
        ("ALLOW", '[{from: [{source: {namespaces: ["*"], notNamespaces: [behaviour]}}]}]', (403, 200, 403)),
        # No request has a valid token where none is asked for.
        ("ALLOW", '[{from: [{source: {requestPrincipals: ["*"]}}]}]', (403, 403, 403)),
        ("DENY", '[{from: [{source: {notRequestPrincipals: ["*"]}}]}]', (403, 403, 403)),
    ],
)
def test_who_may(world: World, action: str, rules: str, expected: Any) -> None:
    world.apply(policy(action, rules))
    assert statuses(world) == expected


@pytest.mark.parametrize(
    ("operation", "allowed", "refused"),
    [
        ("methods: [GET]", {}, {"method": "POST"}),
        ('methods: ["P*"]', {"method": "POST"}, {"method": "GET"}),
        ("notMethods: [GET]", {"method": "POST"}, {}),
        ("paths: [/a]", {"path": "/a?b=c"}, {"path": "/a/"}),
        ('paths: ["/a/*"]', {"path": "/a/b"}, {"path": "/a"}),
        ('paths: ["/a/*"]', {"path": "/a/b/c"}, {"path": "/a/../b"}),
        ('paths: ["*/z"]', {"path": "/x/y/z"}, {"path": "/z/y"}),
        ('paths: ["/a/{*}/c"]', {"path": "/a/b/c"}, {"path": "/a/b/b/c"}),
        ('paths: ["/a/{**}"]', {"path": "/a/b/c"}, {"path": "/b"}),
        ("notPaths: [/a]", {"path": "/b"}, {"path": "/a"}),
        ('ports: ["8080"]', {}, None),
        # The port of the pod, not that of the service.
        ('ports: ["80"]', None, {}),
        ("hosts: [server.behaviour]", {}, {"headers": {"host": "server"}}),
        ('hosts: ["SERVER.*"]', {}, {"headers": {"host": "server"}}),
        ("notHosts: [server.behaviour]", {"headers": {"host": "server"}}, {}),
    ],
)
def test_what_may_be_asked_for(world: World, operation: str, allowed: Any, refused: Any) -> None:
    world.apply(policy("ALLOW", f"[{{to: [{{operation: {{{operation}}}}}]}}]"))
    if allowed is not None:
        assert status(world, **allowed) == 200
    if refused is not None:
        assert status(world, **refused) == 403


@pytest.mark.parametrize(
    ("condition", "allowed", "refused"),
    [
        ('key: "request.headers[x-token]", values: [a, "b*"]', {"x-token": "bcd"}, {"x-token": "cb"}),
        ('key: "request.headers[X-Token]", values: ["*"]', {"x-token": "any"}, {}),
        ('key: "request.headers[x-token]", notValues: [a]', {}, {"x-token": "a"}),
        ('key: destination.port, values: ["8080"]', {}, None),
        ('key: destination.port, values: ["80"]', None, {}),
    ],
)
def test_further_conditions(world: World, condition: str, allowed: Any, refused: Mapping[str, str] | None) -> None:
    world.apply(policy("ALLOW", f"[{{when: [{{{condition}}}]}}]"))
    if allowed is not None:
        assert status(world, headers=allowed) == 200
    if refused is not None:
        assert status(world, headers=refused) == 403


def test_deny_comes_before_allow_and_one_allow_of_several_is_enough(world: World) -> None:
    world.apply(
        "---".join(
            (
                policy("ALLOW", "[{to: [{operation: {paths: [/a, /c]}}]}]", "first"),
                policy("ALLOW", "[{to: [{operation: {paths: [/b]}}]}]", "second"),
                policy("DENY", "[{to: [{operation: {paths: [/c]}}]}]", "third"),
            )
        )
    )
    assert [status(world, path=path) for path in ("/a", "/b", "/c", "/d")] == [200, 200, 403, 403]


def test_a_policy_for_other_workloads_has_no_effect(world: World) -> None:
    spec = "{selector: {matchLabels: {app: nobody}}, action: DENY, rules: [{}]}"
    world.apply(POLICY.format(name="policy", spec=spec))
    assert statuses(world) == (200, 200, 200)


def test_without_a_selector_it_holds_for_the_namespace(world: World) -> None:
    world.apply(POLICY.format(name="policy", spec="{}"))
    assert statuses(world) == (403, 403, 403)
    world.undo()
    assert statuses(world) == (200, 200, 200)


def test_refusals_carry_no_header_of_the_application(world: World) -> None:
    world.apply(policy("DENY", "[{}]"))
    refused = world.many(ENOUGH)[-1]
    assert (refused.status, refused.header("server"), refused.header("content-type")) == (403, "envoy", "text/plain")
    assert refused.header("x-app") is None
    assert world.many(1, "http://server.behaviour/", source="outside")[0].header("server") == "istio-envoy"
